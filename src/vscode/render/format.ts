/** Short, for the status bar: `512`, `8.2K`, `131K`, `1.2M`. */
export function formatShortCount(count: number): string {
  if (count < 1000) return String(count);
  const [value, unit] = count < 999_500 ? [count / 1000, 'K'] : [count / 1_000_000, 'M'];
  return `${value < 99.95 ? trimZero(value.toFixed(1)) : value.toFixed(0)}${unit}`;
}

/** An ISO stamp as people write it: `2026-11-20 10:00:00 UTC`. What is no stamp stays as it is. */
export const formatStamp = (stamp: string): string =>
  stamp.replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?Z$/, '$1 $2 UTC');

const trimZero = (value: string): string => value.replace(/\.0$/, '');
