import { formatCount, formatTokens } from '../../base/format.ts';
import { readableLine } from '../../base/readableText.ts';
import type { RouteOutput } from '../../protocol/api.ts';
import { formatStamp, percent, plural } from '../../words/amounts.ts';
import { searchSentences } from '../../words/search.ts';
import { memorySplit } from '../render/memorySplit.ts';
import type { AnswerBar, BarPart, MemoryItem, MemoryList, MemoryPageState } from './memoryMessages.ts';

type MemoryState = RouteOutput<'memoryState'>;
type Page = MemoryState['pages'][number];

/** What the page shows of a session's memory. `state.pages` are the newest pages of the conversation; earlier ones may be missing. */
export function memoryPage(title: string, state: MemoryState): MemoryPageState {
  const { enableVm, pages, total, turns, messages, inPrompt } = state;
  const unlisted = total - pages.length;
  return {
    title: `Memory: ${readableLine(title)}`,
    facts: enableVm ? factsOf(state) : [],
    bar: enableVm ? barOf(state) : [],
    lists: enableVm ? listsOf(state) : [],
    earlier:
      enableVm && unlisted > 0 && pages.length >= Math.min(inPrompt, messages)
        ? `Show Earlier Pages (${formatCount(unlisted)})`
        : '',
    answers: enableVm ? turns.map(answerBar) : [],
    reuse: enableVm ? reuseOf(state) : '',
    empty: enableVm
      ? ''
      : 'Virtual memory is off: every prompt has the whole conversation. "Session Settings…" turns it on.',
  };
}

const factsOf = (state: MemoryState): string[] => [
  memorySplit(state),
  ...(state.limit === null ? ['Nobody knows how many tokens the model can read.'] : []),
  ...searchSentences(state.search),
];

/** What the next prompt has, by kind, and what is free. The server counts answers one by one, and all other texts only together. */
function barOf({ pages, segments, used, limit }: MemoryState): BarPart[] {
  const here = pages.filter(({ tier }) => tier === 'L0');
  const counted = (wanted: (page: Page) => boolean): number => sum(here.filter(wanted).map(({ tokens }) => tokens));
  const summaries = sum(segments.map(({ tokens }) => tokens));
  const artifacts = counted(({ kind }) => kind === 'artifact');
  const messages = counted(({ kind }) => kind !== 'artifact');
  const known = summaries + artifacts + messages;
  const whole = Math.max(used ?? known, known);
  const scale = Math.max(limit ?? whole, whole);
  const part = (kind: BarPart['kind'], tokens: number, name: string): BarPart[] =>
    tokens <= 0 ? [] : [{ kind, tokens, label: `${name}: ${formatTokens(tokens)} (${percent(tokens, scale)})` }];
  return [
    ...part('summary', summaries, plural(segments.length, 'summary', 'summaries')),
    ...part('message', messages, 'Answers'),
    ...part('artifact', artifacts, 'Results of tools and files'),
    ...part('other', whole - known, 'Questions, files, tools and the system prompt, counted together'),
    ...part('free', scale - whole, 'Free'),
  ];
}

function listsOf({ pages, segments, procedures = [] }: MemoryState): MemoryList[] {
  const rest = pages.filter(({ pinned }) => !pinned);
  return [
    {
      key: 'pinned',
      title: 'Pinned',
      empty: 'No page is pinned. A pinned page stays whole in the prompt.',
      items: pages.filter(({ pinned }) => pinned).map(pageItem),
    },
    {
      key: 'prompt',
      title: 'In the Prompt',
      empty: 'No other page is in the prompt.',
      items: rest.filter(({ tier }) => tier === 'L0').map(pageItem),
    },
    {
      key: 'segments',
      title: 'Summaries in the Place of Earlier Messages',
      empty: 'Nothing has left the prompt.',
      items: segments.map(segmentItem),
    },
    ...(procedures.length === 0
      ? []
      : [
          {
            key: 'procedures' as const,
            title: 'What Calls of Tools Taught',
            empty: '',
            items: procedures.map(pageItem),
          },
        ]),
    {
      key: 'evicted',
      title: 'No Longer in the Prompt',
      empty: 'No page that is listed has left the prompt.',
      // The newest first: what a reader misses left last.
      items: rest
        .filter(({ tier }) => tier !== 'L0')
        .map(pageItem)
        .reverse(),
    },
  ];
}

function pageItem({ id, hint, kind, tokens, sizeBytes, pinned, tier }: Page): MemoryItem {
  const isHere = tier === 'L0';
  const size = tokens === null ? plural(sizeBytes, 'byte') : formatTokens(tokens);
  const facts = [
    id,
    size,
    ...(kind === 'artifact' ? ['result or files'] : []),
    ...(pinned ? ['pinned'] : []),
    isHere ? 'in the prompt' : 'stored',
  ];
  return {
    key: id,
    heading: readableLine(hint),
    facts: facts.join(' · '),
    text: null,
    actions: [
      ...(pinned ? [{ type: 'unpin', label: 'Unpin' } as const] : []),
      ...(isHere && !pinned ? [{ type: 'pin', label: 'Pin' } as const] : []),
      ...(isHere ? [] : [{ type: 'fault', label: 'Bring Back' } as const]),
    ],
  };
}

function segmentItem(segment: MemoryState['segments'][number]): MemoryItem {
  const { id, firstSequence, lastSequence, replacedTokens, tokens, summary, summaryBy, text } = segment;
  const size = tokens === null ? '' : `, now ${formatTokens(tokens)}`;
  return {
    key: id,
    heading: `Messages ${formatCount(firstSequence)} to ${formatCount(lastSequence)}: ${readableLine(summary.slice(0, 120))}`,
    facts: `${id} · ${formatTokens(replacedTokens)} before${size} · ${summaryBy === 'engine' ? 'summarised by the model' : 'sentences of the messages'}`,
    text,
    actions: [],
  };
}

const answerBar = ({ sequence, sent, reused, recomputed }: MemoryState['turns'][number]): AnswerBar => ({
  sequence,
  sent,
  reused: Math.min(reused ?? 0, sent),
  recomputed: Math.min(recomputed, sent - Math.min(reused ?? 0, sent)),
  cells: [formatCount(sent), reused === null ? 'the server did not say' : formatCount(reused), formatCount(recomputed)],
});

function reuseOf({ turns, ratio, recomputed, faults }: MemoryState): string {
  if (turns.length === 0) return 'There are no answers yet.';
  const share =
    ratio === null
      ? 'The model server did not say what it reused.'
      : `Reused so far: ${percent(ratio, 1)} of all tokens.`;
  return `${share} Computed again because of memory: ${formatTokens(recomputed)}. Pages that came back: ${formatCount(faults)}.`;
}

/** When the prompt had a page, and why it left or came back. */
export function historyLines({ inPrompt, leftWith, events, searches }: RouteOutput<'memoryHistory'>): string[] {
  return [
    inPrompt
      ? `The prompts of the answers ${formatCount(inPrompt.from)} to ${formatCount(inPrompt.to)} had it whole.`
      : 'No recorded prompt had the whole of it.',
    ...(leftWith ? [`It left at ${formatStamp(leftWith.at)} with ${leftWith.segment}. ${leftWith.why}`] : []),
    ...events.map(({ what, actor, at }) => `${formatStamp(at)}: the ${actor} ${eventWords[what]}.`),
    ...searches.map(({ query, at }) => `${formatStamp(at)}: the model found it with "${readableLine(query)}".`),
  ];
}

const eventWords: Readonly<Record<RouteOutput<'memoryHistory'>['events'][number]['what'], string>> = {
  fault_in: 'brought it back',
  pin: 'pinned it',
  unpin: 'unpinned it',
  update: 'gave it another importance',
};

const sum = (tokens: readonly (number | null)[]): number => tokens.reduce<number>((all, each) => all + (each ?? 0), 0);
