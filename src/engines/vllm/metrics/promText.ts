/** One sample of Prometheus' text format. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const line = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?\s*$/;
const label = /\s*([a-zA-Z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*,?/gy;

/**
 * Reads only the wanted series, by their names: a server's page has thousands of histogram lines. Ignores lines that are not samples.
 */
export function parseSamples(text: string, wanted: ReadonlySet<string>): Map<string, Sample[]> {
  const samples = new Map<string, Sample[]>();
  for (let start = 0; start < text.length;) {
    const lineEnd = text.indexOf('\n', start);
    const end = lineEnd < 0 ? text.length : lineEnd;
    const name = nameAt(text, start, end);
    const match = wanted.has(name) ? line.exec(text.slice(start, end)) : null;
    start = end + 1;
    const value = Number(match?.[3]);
    if (!match || Number.isNaN(value)) continue;
    const sample = { name, labels: parseLabels(match[2] ?? ''), value };
    const others = samples.get(name);
    if (others) others.push(sample);
    else samples.set(name, [sample]);
  }
  return samples;
}

/** What stands before the labels, or before the value. */
function nameAt(text: string, start: number, end: number): string {
  let at = start;
  while (at < end && !endsName(text.charCodeAt(at))) at++;
  return text.slice(start, at);
}

/** `{`, a space or a control character. */
const endsName = (code: number): boolean => code === 0x7b || code <= 0x20;

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  label.lastIndex = 0;
  // Without the iterator of `matchAll`, which takes half of the time.
  for (let match = label.exec(text); match; match = label.exec(text)) {
    const [, key, value] = match;
    if (key === undefined || value === undefined) continue;
    labels[key] = value.includes('\\') ? value.replaceAll(/\\(.)/g, unescape) : value;
  }
  return labels;
}

const unescape = (_: string, character: string): string => (character === 'n' ? '\n' : character);
