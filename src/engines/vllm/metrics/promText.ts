/** One sample of Prometheus' text format. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const line = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?\s*$/;
const label = /\s*([a-zA-Z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*,?/gy;

/** Reads only the wanted series: a server's page has thousands of histogram lines. Ignores lines that are not samples. */
export function parseSamples(text: string, wanted: ReadonlySet<string>): Sample[] {
  const samples: Sample[] = [];
  for (const row of text.split('\n')) {
    if (row === '' || row.startsWith('#')) continue;
    const name = /^[^{\s]*/.exec(row)?.[0] ?? '';
    if (!wanted.has(name)) continue;
    const match = line.exec(row);
    const value = Number(match?.[3]);
    if (!match || Number.isNaN(value)) continue;
    samples.push({ name, labels: parseLabels(match[2] ?? ''), value });
  }
  return samples;
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const [, key, value] of text.matchAll(label)) {
    if (key !== undefined && value !== undefined) labels[key] = value.replaceAll(/\\(.)/g, unescape);
  }
  return labels;
}

const unescape = (_: string, character: string): string => (character === 'n' ? '\n' : character);
