import type { CutReason } from '../protocol/schemas/session.ts';

const reasons: Readonly<Record<CutReason, string>> = {
  limit: 'This answer was cut at its limit.',
  stopped: 'This answer was stopped.',
  failed: 'The model server broke off this answer.',
  crashed: 'The backend ended in the middle of this answer.',
};

/** Why an answer is not whole, and what there is to do. */
export const cutSentence = (reason: CutReason): string => `${reasons[reason]} "Continue Answer" gets the rest.`;
