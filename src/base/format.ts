/** Numbers in the form that people read, the same in every client. */

let wholeNumber: Intl.NumberFormat | undefined;

/** `8,192` */
export function formatCount(count: number): string {
  // The first one of a process costs 11 ms, which a start must not wait for.
  wholeNumber ??= new Intl.NumberFormat('en-US');
  return wholeNumber.format(count);
}

/** `8,192 tokens` */
export const formatTokens = (count: number): string => `${formatCount(count)} ${count === 1 ? 'token' : 'tokens'}`;

/** In powers of 1000, as disks are sold: `12.6 MB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ['kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 'B';
  for (const next of units) {
    if (value < 999.95) break;
    value /= 1000;
    unit = next;
  }
  return `${trimZero(value.toFixed(1))} ${unit}`;
}

/** `46 ms`, `4.2 s`, `3 min 5 s`. */
export function formatDuration(ms: number): string {
  if (ms < 999.5) return `${ms < 9.95 ? trimZero(ms.toFixed(1)) : ms.toFixed(0)} ms`;
  const seconds = ms / 1000;
  if (seconds < 99.95) return `${trimZero(seconds.toFixed(1))} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

const minuteMs = 60_000;
const steps: readonly (readonly [limitMs: number, unitMs: number, unit: string])[] = [
  [60 * minuteMs, minuteMs, 'min'],
  [24 * 60 * minuteMs, 60 * minuteMs, 'h'],
  [Infinity, 24 * 60 * minuteMs, 'd'],
];

/** `just now`, `3 min ago`, `5 h ago`, `12 d ago`. A stamp of the future counts as now: clocks differ. */
export function formatAge(stamp: string, now: Date): string {
  const ageMs = now.getTime() - Date.parse(stamp);
  if (Number.isNaN(ageMs)) return 'at an unknown time';
  if (ageMs < minuteMs) return 'just now';
  const [, unitMs, unit] = steps.find(([limitMs]) => ageMs < limitMs) ?? [0, minuteMs, 'min'];
  return `${Math.floor(ageMs / unitMs)} ${unit} ago`;
}

const trimZero = (value: string): string => value.replace(/\.0$/, '');
