/** Text that stands for itself inside markdown: no markup, no HTML, no table cell's end, no line break. */
export const plain = (text: string): string =>
  text
    .replace(/\s+/g, ' ')
    .replace(/[\\`*_{}[\]()#+!|~>$]/g, '\\$&')
    .replaceAll('<', '&lt;');

export const markdownTable = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
