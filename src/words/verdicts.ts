import type { Verdict } from '../protocol/schemas/receipt.ts';

interface VerdictWords {
  /** What the verdict means, in one or two sentences. README.md and docs/architecture.md have the same ones. */
  readonly meaning: string;
  /** `bad`: the user should look at the receipt. */
  readonly tone: 'good' | 'neutral' | 'bad';
}

export const verdictWords: Readonly<Record<Verdict, VerdictWords>> = {
  proven: {
    meaning: 'The model server reused every token it could, and the checksums of the files agreed.',
    tone: 'good',
  },
  reused: {
    meaning: 'The model server reused every token it could. The content of what it reused could not be checked.',
    tone: 'good',
  },
  partial: {
    meaning: 'The model server reused a part of the context and computed the rest again.',
    tone: 'neutral',
  },
  rebuilt: {
    meaning: 'The model server reused nothing. It computed the whole context again, which is warm now.',
    tone: 'neutral',
  },
  unobserved: {
    meaning: 'The model server gives no usable evidence of reuse, so nothing is claimed.',
    tone: 'neutral',
  },
  damaged: {
    meaning: 'The model server reused something that is not what was frozen. The receipt says how it was repaired.',
    tone: 'bad',
  },
  mismatch: {
    meaning: 'The served model differs from the frozen one in name or weights, so its KV cache is not used.',
    tone: 'bad',
  },
  'text-only': {
    meaning: 'The model server did not bring the KV cache back. The conversation is open, and nothing was warmed.',
    tone: 'neutral',
  },
};

/** Fields that other versions may widen are plain strings; an unknown word is no verdict. */
export const asVerdict = (word: string | null | undefined): Verdict | null =>
  Object.hasOwn(verdictWords, word ?? '') ? (word as Verdict) : null;
