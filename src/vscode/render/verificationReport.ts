import type { RouteOutput } from '../../protocol/api.ts';
import { verificationWords } from '../../words/verification.ts';
import { markdownList, markdownPage, markdownTable, plain } from '../../words/markdown.ts';

/** What a verification checked and found, as markdown. @param window null: everything. */
export function verificationReport(result: RouteOutput<'verify'>, window: string | null): string {
  const { heading, sentence, steps, problems, repairs } = verificationWords(result, window);
  return markdownPage(plain(heading), [
    sentence,
    markdownTable(steps),
    ...(problems.length === 0 ? [] : ['## Problems', markdownList(problems)]),
    ...(repairs.length === 0 ? [] : ['## Repaired', markdownList(repairs)]),
  ]);
}
