const months = 'january february march april may june july august september october november december'.split(' ');

/** The date that a text names. */
export interface NamedDate {
  readonly year?: number;
  /** 1 to 12. */
  readonly month?: number;
  readonly day?: number;
}

/**
 * A year, a month or a day that a text names, in English or as in ISO 8601; the first of each. A month's name needs no capital, and `may`
 * counts only beside a year or a day.
 *
 * @returns null where it names none.
 */
export function dateIn(text: string): NamedDate | null {
  const iso = /\b((?:19|20)\d\d)-(\d\d)(?:-(\d\d))?\b/.exec(text);
  if (iso) return { year: Number(iso[1]), month: Number(iso[2]), ...(iso[3] && { day: Number(iso[3]) }) };
  const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  const year = words.find((word) => /^(?:19|20)\d\d$/.test(word));
  const at = words.findIndex((word) => months.includes(word));
  const beside = at === -1 ? [] : [words[at - 1], words[at + 1], words[at - 2]];
  const day = beside
    .map((word) => /^(\d{1,2})(?:st|nd|rd|th)?$/.exec(word ?? '')?.[1])
    .find((found) => found !== undefined);
  const isMonth = at !== -1 && (words[at] !== 'may' || year !== undefined || day !== undefined);
  if (year === undefined && !isMonth) return null;
  return {
    ...(year !== undefined && { year: Number(year) }),
    ...(isMonth && { month: months.indexOf(words[at]!) + 1 }),
    ...(isMonth && day !== undefined && { day: Number(day) }),
  };
}

/** As the beginning of an ISO 8601 date, with `_` for any digit. */
export function patternOf({ year, month, day }: NamedDate): string {
  const two = (value: number | undefined): string => (value === undefined ? '__' : String(value).padStart(2, '0'));
  return `${year ?? '____'}-${two(month)}-${two(day)}`;
}
