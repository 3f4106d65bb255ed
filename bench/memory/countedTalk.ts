import type { Engine } from '../../src/core/ports/engine.ts';
import { systemPrompt, TraceTalk, type Talked } from '../../test/core/memory/endless/talkTrace.ts';
import { makeTrace } from '../../test/core/memory/endless/trace.ts';
import { coreWith } from '../coreWith.ts';
import { ForcedEngine } from './forcedEngine.ts';
import { policies, runPolicy } from './policies.ts';

/** Tokens, summed over requests for answers, of which the engine says itself what it reused. */
export interface CountedTalk extends Pick<
  Talked,
  'faults' | 'recalled' | 'asked' | 'inPrompt' | 'wholeOriginals' | 'summaries' | 'stats'
> {
  readonly requests: number;
  readonly sent: number;
  readonly reused: number;
  readonly computed: number;
  /** Of the requests for summaries. */
  readonly summaryComputed: number;
  /** Of the largest request, its answer's budget included; and how many requests exceeded the limit. */
  readonly largest: number;
  readonly over: number;
  /** What sealed segments without a way back compute of the same texts, counted by prefixes. */
  readonly sealedComputed: number;
}

/** Talks the trace of so many turns on a real engine. Its model's answers are the script's. @param limit the engine's longest context, in tokens. */
export async function countedTalk(
  engine: Engine,
  { turns, limit }: { readonly turns: number; readonly limit: number },
  signal: AbortSignal,
): Promise<CountedTalk> {
  const talk = new TraceTalk(turns, (model) => new ForcedEngine(engine, model));
  await using made = await coreWith(talk.engine as unknown as Engine, undefined, { checkpoints: { enabled: false } });
  const { turns: talked, ...found } = await talk.talk(made.cwm);
  const requests = talked.flat();
  const sent = sumOf(requests.map((request) => request.sent));
  const reused = sumOf(requests.map((request) => request.reused));
  const trace = makeTrace(turns);
  // The policies count four characters as a token: their limit and their tokens are converted to this engine's.
  const ratio = await tokensPerFour(
    engine,
    trace.flatMap(({ user, assistant }) => [user, assistant]).filter((text) => text !== ''),
    signal,
  );
  const sealed = runPolicy(policies.at(-1)!.make, { trace, systemPrompt, limit: limit / ratio });
  const needed = talk.engine.counted.map((request) => request.needed);
  return {
    ...found,
    requests: requests.length,
    sent,
    reused,
    computed: sent - reused,
    summaryComputed: sumOf(found.summaries.map((request) => request.sent - request.reused)),
    largest: Math.max(...needed),
    over: needed.filter((each) => each > limit).length,
    sealedComputed: sealed.computed * ratio,
  };
}

/** Of this engine, for each four characters of such texts. */
async function tokensPerFour(engine: Engine, texts: readonly string[], signal: AbortSignal): Promise<number> {
  const some = texts.slice(0, 40);
  const counted = await Promise.all(some.map((content) => engine.tokenize([{ role: 'user', content }], false, signal)));
  return sumOf(counted.map(({ length }) => length)) / sumOf(some.map(({ length }) => length / 4));
}

export const sumOf = (counts: readonly number[]): number => counts.reduce((sum, count) => sum + count, 0);
