import { type Verdict, verdicts } from '../../protocol/schemas/receipt.ts';

interface VerdictWords {
  /** A codicon's name. */
  readonly icon: string;
  /** A theme colour that goes with the icon; never the only sign. */
  readonly color: string | null;
  /** For people: one sentence. */
  readonly meaning: string;
  /** Whether the user should look at the receipt. */
  readonly tone: 'good' | 'neutral' | 'bad';
}

export const verdictWords: Readonly<Record<Verdict, VerdictWords>> = {
  proven: {
    icon: 'pass-filled',
    color: 'testing.iconPassed',
    meaning: 'The engine reused every token it could, and the checksums of its files agreed.',
    tone: 'good',
  },
  reused: {
    icon: 'pass',
    color: 'testing.iconPassed',
    meaning: 'The engine reused every token it could. The content of what it reused could not be checked.',
    tone: 'good',
  },
  partial: {
    icon: 'color-mode',
    color: 'list.warningForeground',
    meaning: 'The engine reused a part of the context and recomputed the rest.',
    tone: 'neutral',
  },
  rebuilt: {
    icon: 'debug-restart',
    color: 'list.warningForeground',
    meaning: 'The engine recomputed the whole context. It is warm now.',
    tone: 'neutral',
  },
  unobserved: {
    icon: 'question',
    color: null,
    meaning: 'The engine gives no usable evidence, so nothing is claimed.',
    tone: 'neutral',
  },
  damaged: {
    icon: 'error',
    color: 'list.errorForeground',
    meaning: 'What the engine reused is not what was frozen. The receipt says what was done about it.',
    tone: 'bad',
  },
  mismatch: {
    icon: 'warning',
    color: 'list.warningForeground',
    meaning: 'Model, tokenizer, salt or tokens differ from those that were frozen.',
    tone: 'bad',
  },
  'text-only': {
    icon: 'note',
    color: null,
    meaning: 'No engine could be reached: the conversation is open, nothing was warmed.',
    tone: 'neutral',
  },
};

/** Protocol fields that other versions may widen are plain strings; an unknown word is no verdict. */
export const asVerdict = (word: string | null | undefined): Verdict | null =>
  verdicts.find((verdict) => verdict === word) ?? null;
