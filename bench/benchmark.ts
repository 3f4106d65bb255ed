/** One figure, compared with a baseline of the same run, because ratios differ less between machines than times. */
export interface Figure {
  readonly id: string;
  readonly what: string;
  readonly unit: 'ms' | 'bytes' | 'tokens' | 'files' | 'messages' | '%';
  readonly value: number;
  readonly baseline: { readonly what: string; readonly value: number } | null;
  /** How many times less than the baseline when less is better for both, else how many times the baseline. Null without a baseline. */
  readonly ratio: number | null;
  /** What is wanted, in words. */
  readonly wanted: string;
  readonly met: boolean;
  /** How many runs the value is the median of. */
  readonly runs: number;
}

export interface BenchmarkOptions {
  /** `small=2048,8192;big=1024`: what THAW measures. Undefined for its own sizes. */
  readonly sizes?: string;
  /** Whether THAW measures the sizes that take long, too, and the prefill of each size. Default: false. */
  readonly whole?: boolean;
  /** Where LoCoMo is: its file, or the directory with it. RECALL is left out without it. */
  readonly locomo?: string;
  /** URL of a server with embeddings that help to find it. */
  readonly embeddings?: string;
  /** A Python that has chuk-ai-session-manager. MEMORY leaves its rows out without it. */
  readonly chuk?: string;
}

export interface Benchmark {
  /** Names on the command line that select it. */
  readonly ids: readonly string[];
  /** @throws when a result is wrong: only that fails a run, never a time. */
  run(signal: AbortSignal, options: BenchmarkOptions): Promise<Figure[]>;
}

/** A row in place of a figure that this machine cannot give. It misses nothing. @param what ends with the reason. */
export const notMeasured = (id: string, what: string, unit: Figure['unit']): Figure => ({
  id,
  what,
  unit,
  value: Number.NaN,
  baseline: null,
  ratio: null,
  wanted: '',
  met: true,
  runs: 0,
});

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

export async function timed<T>(task: () => Promise<T>): Promise<{ ms: number; result: T }> {
  const started = performance.now();
  const result = await task();
  return { ms: performance.now() - started, result };
}

/** @throws Error when `holds` is false. */
export function mustHold(holds: boolean, what: string): void {
  if (!holds) throw new Error(`Not correct: ${what}.`);
}

/** A time with a limit and no peer. */
export const atMost = (id: string, what: string, ms: number, limitMs: number, runs: number): Figure => ({
  id,
  what,
  unit: 'ms',
  value: ms,
  baseline: null,
  ratio: null,
  wanted: `< ${limitMs} ms`,
  met: ms < limitMs,
  runs,
});
