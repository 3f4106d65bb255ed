const unitMs: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** What {@link parseDuration} takes, for messages. */
export const durationExample = '90m, 12h or 30d';

/** A duration like `90m`, `12h` or `30d`, in milliseconds; null for any other text. At most six digits. */
export function parseDuration(text: string): number | null {
  const [, count, unit] = /^([1-9]\d{0,5})([mhd])$/.exec(text) ?? [];
  return count === undefined || unit === undefined ? null : Number(count) * (unitMs[unit] ?? 0);
}
