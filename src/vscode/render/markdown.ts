/** Embeddings, overrides and isolates: left open, they turn round what stands behind the text. */
const directionControls = /[\u202a-\u202e\u2066-\u2069]/g;

/** Text that stands for itself inside markdown: no markup, no HTML, no table cell's end, no line break, no turned direction. */
export const plain = (text: string): string =>
  text
    .replace(directionControls, '')
    .replace(/\s+/g, ' ')
    .replace(/[\\`*_{}[\]()#+!|~>$]/g, '\\$&')
    .replaceAll('<', '&lt;');

export const markdownTable = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
