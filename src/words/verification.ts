import { formatCount } from '../base/format.ts';
import type { RouteOutput } from '../protocol/api.ts';
import type { Table } from './rows.ts';

export interface VerificationWords {
  /** `Verification of window w` */
  readonly heading: string;
  readonly sentence: string;
  readonly steps: Table;
  readonly problems: readonly string[];
  readonly repairs: readonly string[];
}

/** What was checked against its checksums. @param window null: everything. */
export function verificationWords(
  { steps, healthy, repairs }: RouteOutput<'verify'>,
  window: string | null,
): VerificationWords {
  return {
    heading: window === null ? 'Verification of everything' : `Verification of window ${window}`,
    sentence: healthy
      ? 'Everything that was checked is as it was written.'
      : 'Some of what was checked is damaged or missing.',
    steps: {
      head: ['Step', 'Checked', 'Problems'],
      rows: steps.map(({ step, checked, problems }) => [step, formatCount(checked), formatCount(problems.length)]),
    },
    problems: steps.flatMap(({ step, problems }) => problems.map((problem) => `${step}: ${problem}`)),
    repairs,
  };
}

/** What a repair does. */
export const repairSentence =
  'A repair sets damaged records aside, derives again what other records determine, and deletes damaged KV.';
