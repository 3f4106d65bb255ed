import { InvalidArgumentError, type Command } from 'commander';
import { formatCount } from '../../../base/format.ts';
import { readableLine } from '../../../base/readableText.ts';
import type { RouteOutput } from '../../../protocol/api.ts';
import { formatStamp } from '../../../words/amounts.ts';
import { primedSentence } from '../../../words/prime.ts';
import { searchSentences } from '../../../words/search.ts';
import type { Perform } from '../../action.ts';
import { wholeNumber } from '../../arguments.ts';
import { withCommonOptions } from '../../run.ts';
import { registerMemories } from './memories.ts';
import { formatTable } from '../../terminal/layout.ts';

interface Paging {
  readonly limit?: number;
  readonly offset?: number;
  readonly at?: number;
}

export function registerMemory(program: Command, perform: Perform): void {
  const memory = program
    .command('memory')
    .description("virtual memory of a session: what the model's prompt has of it; and what is remembered for longer");
  registerMemories(memory, perform);

  withCommonOptions(memory.command('show'))
    .description('show what the next prompt has of the conversation, and what left it')
    .argument('<session>', "the session's id")
    .option('--limit <n>', 'pages to list, up to 100; default 50', wholeNumber(1))
    .option('--offset <n>', 'pages to leave out first', wholeNumber(0))
    .option(
      '--at <n>',
      'show what the prompt of an answer had; N is its number in "cwm session messages"',
      wholeNumber(1),
    )
    .action((session: string, { limit, offset, at, ...common }: Paging) =>
      perform(common, async (run) => {
        const asOf = at === undefined ? { search: true } : { at: String(at) };
        run.print(await run.call('memoryState', { session, limit, offset, ...asOf }), stateText);
      }),
    );

  withCommonOptions(memory.command('page'))
    .description('print the whole text of a page')
    .argument('<session>', "the session's id")
    .argument('<page>', 'id of the page')
    .action((session: string, page: string, common: object) =>
      perform(common, async (run) => {
        run.print(await run.call('memoryPage', { session, page }), ({ text }) => text);
      }),
    );

  for (const pinned of [true, false]) {
    withCommonOptions(memory.command(pinned ? 'pin' : 'unpin'))
      .description(pinned ? 'have a page stay whole in the prompt' : 'let a page leave the prompt again')
      .argument('<session>', "the session's id")
      .argument('<page>', 'id of the page')
      .action((session: string, page: string, common: object) =>
        perform(common, async (run) => {
          const done = await run.call('pinPage', { session, page, pinned });
          run.print(done, ({ page }) =>
            pinned ? `Page ${page} stays in the prompt.` : `Page ${page} may leave the prompt.`,
          );
        }),
      );
  }

  withCommonOptions(memory.command('importance'))
    .description('say what a page is worth to later prompts, 0 to 1; "role": as much as pages of its role are')
    .argument('<session>', "the session's id")
    .argument('<page>', 'id of the page')
    .argument('<importance>', 'from 0.9 on, the page stays whole as far as there is room', importanceArgument)
    .action((session: string, page: string, importance: number | null, common: object) =>
      perform(common, async (run) => {
        const done = await run.call('weighPage', { session, page, importance });
        run.print(done, ({ page, importance }) => `Page ${page} has the importance ${importance}.`);
      }),
    );

  withCommonOptions(memory.command('fault'))
    .description('bring a page back into the prompt, behind the last message')
    .argument('<session>', "the session's id")
    .argument('<page>', 'id of the page')
    .action((session: string, page: string, common: object) =>
      perform(common, async (run) => {
        const input = { session, page, ...run.onEngine };
        run.print(await run.call('faultPage', input, 'Bringing the page back'), primedSentence);
      }),
    );

  withCommonOptions(memory.command('why'))
    .description('say when a page was in the prompt, and why it left or came back')
    .argument('<session>', "the session's id")
    .argument('<page>', 'id of the page')
    .action((session: string, page: string, common: object) =>
      perform(common, async (run) => {
        run.print(await run.call('memoryHistory', { session, page }), historyText);
      }),
    );
}

function importanceArgument(given: string): number | null {
  if (given === 'role') return null;
  const importance = given.trim() === '' ? Number.NaN : Number(given);
  if (importance >= 0 && importance <= 1) return importance;
  throw new InvalidArgumentError('It is a number from 0 to 1, or "role".');
}

function stateText(state: RouteOutput<'memoryState'>): string {
  const {
    enableVm,
    messages,
    inPrompt,
    used,
    limit,
    segments,
    ratio,
    recomputed,
    pages,
    total,
    stats,
    search,
    procedures = [],
  } = state;
  const share = ratio === null ? 'unknown' : `${(100 * ratio).toFixed(1)} %`;
  const table = formatTable({
    head: ['Page', 'In the prompt', 'Pinned', 'Begins with'],
    rows: pages.map(({ id, tier, pinned, hint }) => [
      id,
      tier === 'L0' ? 'yes' : 'no',
      pinned ? 'yes' : '',
      readableLine(hint.slice(0, 60)),
    ]),
  });
  return [
    enableVm ? 'Virtual memory is on.' : 'Virtual memory is off ("cwm session set --memory on").',
    `${formatCount(inPrompt)} of ${formatCount(messages)} messages are whole in the prompt: ${used === null ? 'an unknown number of' : formatCount(used)} tokens${limit === null ? '' : ` of ${formatCount(limit)}`}.`,
    ...segments.map(
      (each) =>
        `${each.id} stands for messages ${each.firstSequence} to ${each.lastSequence} (${formatCount(each.replacedTokens)} tokens): ${readableLine(each.summary.slice(0, 100))}`,
    ),
    `Reused so far: ${share}. Computed again because of memory: ${formatCount(recomputed)} tokens. Pages that came back: ${stats.faults}.`,
    statsText(stats),
    ...searchSentences(search),
    table,
    ...procedures.map(({ id, hint }) => `${id}: ${readableLine(hint.replace(/^\[\w+\] /, ''))}`),
    ...(pages.length < total ? [`${formatCount(total)} pages in all (--offset).`] : []),
  ].join('\n');
}

function statsText(stats: RouteOutput<'memoryState'>['stats']): string {
  const { byTier, evictions, compressions, tokensSaved, tokensFree, thrash, searches, tlbHits, tlbMisses } = stats;
  const { prefetches, prefetchesUsed } = stats;
  return [
    `${formatCount(evictions)} messages left the prompt, which is ${formatCount(tokensSaved)} tokens shorter. Summaries quote ${formatCount(compressions)} of them.`,
    `Pages: ${formatCount(byTier.L0)} in the prompt, ${formatCount(byTier.L1)} ready in memory, ${formatCount(byTier.L2)} in the store${byTier.L3 === 0 ? '' : `, ${formatCount(byTier.L3)} in windows alone`}.${tokensFree === null ? '' : ` Free: ${formatCount(tokensFree)} tokens.`}`,
    `Of the pages that came back, ${(100 * thrash).toFixed(0)} % had left too early. Searches: ${formatCount(searches)}. Pages found without a search: ${formatCount(tlbHits)} of ${formatCount(tlbHits + tlbMisses)}.`,
    ...(prefetches === 0
      ? []
      : [
          `Pages that came before a question without being asked for: ${formatCount(prefetches)}; answers used ${formatCount(prefetchesUsed)}.`,
        ]),
  ].join('\n');
}

function historyText({ page, inPrompt, leftWith, events, searches }: RouteOutput<'memoryHistory'>): string {
  return [
    inPrompt
      ? `Page ${page} was whole in ${inPrompt.from === inPrompt.to ? `the prompt of answer ${inPrompt.from}` : `the prompts of the answers ${inPrompt.from} to ${inPrompt.to}`}.`
      : `No recorded prompt had the whole of page ${page}.`,
    ...(leftWith ? [`It left with ${leftWith.segment} at ${formatStamp(leftWith.at)}. ${leftWith.why}`] : []),
    ...events.map(
      ({ what, actor, reason, importance, at }) =>
        `${formatStamp(at)}: ${what === 'update' ? `importance ${importance ?? 'of its role'}` : what} by ${actor}${reason ? ` (${reason})` : ''}`,
    ),
    ...searches.map(
      ({ query, reason, at }) => `${formatStamp(at)}: found by the model (${reason}): ${readableLine(query)}`,
    ),
  ].join('\n');
}
