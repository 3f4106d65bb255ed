import type { HeaderOf } from '../recognition/clientIds.ts';

/** What a client says that its last message is worth to later prompts. */
export interface Importance {
  /** 0 to 1; null: it says nothing, or nothing that can be used. */
  readonly value: number | null;
  /** Headers of the answer: what became of it. @param isRecorded whether the conversation is stored. */
  readonly receipt: (isRecorded: boolean) => Readonly<Record<string, string>>;
}

const header = 'x-cwm-importance';

/** A nonsense costs no answer: it is ignored, and the answer says so. */
export function importanceOf(headerOf: HeaderOf): Importance {
  const given = headerOf(header)?.trim() ?? '';
  if (given === '') return { value: null, receipt: () => ({}) };
  const says = (what: string) => () => ({ [header]: what });
  const value = /^\d*\.?\d+$/.test(given) ? Number(given) : Number.NaN;
  if (!(value >= 0 && value <= 1)) return { value: null, receipt: says('ignored: it is no number from 0 to 1') };
  const ignored = 'ignored: the conversation is not recorded';
  return { value, receipt: (isRecorded) => says(isRecorded ? String(value) : ignored)() };
}
