import type { TraceTurn } from '../../test/core/memory/endless/trace.ts';

/** What a way to fit a conversation into a limit comes to. */
export interface PolicyRow {
  readonly largest: number;
  readonly over: number;
  readonly sent: number;
  /** Tokens that no exact prefix cache had: the new message's own among them. */
  readonly computed: number;
  /** Decisions whose text the prompt has when they are asked for. */
  readonly decisions: number;
}

interface Given {
  readonly trace: readonly TraceTurn[];
  readonly systemPrompt: string;
  readonly limit: number;
}

/** Four characters are a token, as on the counting engine. */
const tokens = (texts: readonly string[]): number => texts.reduce((sum, text) => sum + text.length / 4, 0);

interface Policy {
  /** The prompt behind the system prompt. */
  build(history: readonly string[]): readonly string[];
}

type MakePolicy = (given: Given) => Policy;

const dropOldest: MakePolicy = ({ systemPrompt, limit }) => ({
  build(history) {
    let from = 0;
    while (tokens([systemPrompt, ...history.slice(from)]) > limit * 0.97) from++;
    return history.slice(from);
  },
});

const dropInBatches: MakePolicy = ({ systemPrompt, limit }) => {
  let from = 0;
  return {
    build(history) {
      const used = (): number => tokens([systemPrompt, ...history.slice(from)]);
      if (used() > limit * 0.85) while (used() > limit * 0.7) from++;
      return history.slice(from);
    },
  };
};

/** One summary, which each compaction writes again; the last quarter stays. Its requests are not counted. */
const rewriteSummary: MakePolicy = ({ systemPrompt, limit }) => {
  let from = 0;
  let summary: readonly string[] = [];
  return {
    build(history) {
      if (tokens([systemPrompt, ...summary, ...history.slice(from)]) > limit * 0.85) {
        while (tokens(history.slice(from)) > limit * 0.25) from++;
        summary = [`Summary up to ${from}: ${'x'.repeat(4000)}`];
      }
      return [...summary, ...history.slice(from)];
    },
  };
};

/** Segments that never change, each one summary long; two thirds of what stands behind them leave at a time. Nothing can come back. */
const sealSegments: MakePolicy = ({ systemPrompt, limit }) => {
  let from = 0;
  const segments: string[] = [];
  return {
    build(history) {
      if (tokens([systemPrompt, ...segments, ...history.slice(from)]) > limit * 0.85) {
        const before = tokens(history.slice(from));
        while (tokens(history.slice(from)) > before * 0.35) from++;
        segments.push(`Segment ${segments.length}: ${'y'.repeat(1200)}`);
      }
      return [...segments, ...history.slice(from)];
    },
  };
};

export const policies: readonly { readonly name: string; readonly make: MakePolicy }[] = [
  { name: 'the oldest message dropped each turn', make: dropOldest },
  { name: 'the oldest messages dropped in batches', make: dropInBatches },
  { name: 'one summary, written again', make: rewriteSummary },
  { name: 'sealed segments without a way back', make: sealSegments },
];

export function runPolicy(make: MakePolicy, given: Given): PolicyRow {
  const policy = make(given);
  const history: string[] = [];
  let before: readonly string[] = [];
  const row = { largest: 0, over: 0, sent: 0, computed: 0, decisions: 0 };
  for (const { user, assistant, asked } of given.trace) {
    history.push(user);
    const prompt = [given.systemPrompt, ...policy.build(history)];
    const sent = tokens(prompt);
    row.sent += sent;
    row.computed += sent - tokens(common(before, prompt));
    row.largest = Math.max(row.largest, sent);
    if (sent > given.limit) row.over++;
    if (asked !== null && prompt.slice(0, -1).some((text) => text.includes(asked))) row.decisions++;
    const answer = asked === null ? assistant : `${asked}.`;
    history.push(answer);
    before = [...prompt, answer];
  }
  return row;
}

function common(one: readonly string[], other: readonly string[]): readonly string[] {
  const end = one.findIndex((text, at) => text !== other[at]);
  return end === -1 ? one : one.slice(0, end);
}
