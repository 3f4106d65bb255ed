import { randomBytes, randomInt } from 'node:crypto';
import { CwmError } from '../../protocol/errors.ts';

/** The reuse that one tiny request showed. Null means that the server gave no number. */
export interface TinyAnswer {
  readonly sentTokens: number;
  /** Reused tokens by the answer's own account. */
  readonly told: number | null;
  /** The same after a comparison with the server's counters. */
  readonly cached: number | null;
}

/**
 * Steps of a probe, in this order; each rests on those before it. The last two have one token less: vLLM's ExampleConnector, which
 * ignores salts, finds no prompt again that is one token longer than whole blocks.
 */
export const tinySteps = ['fresh', 'repeated', 'shorter', 'otherSalt'] as const;
export type TinyStep = (typeof tinySteps)[number];

/** The answers so far. After the first failure no further request follows. */
export interface TinyAnswers {
  readonly answers: Readonly<Partial<Record<TinyStep, TinyAnswer>>>;
  readonly failure: CwmError | null;
  readonly requests: number;
  readonly promptTokens: number;
}

/** Assumed where the server names no block size. */
const usualBlockTokens = 16;
/** No known server has larger blocks; one that names a larger size gets no prompt of that size. */
const maxBlockTokens = 1024;
const blocksPerPrompt = 3;

export interface ProbeSize {
  /** Tokens in the longest prompt: three blocks and a token, or as many blocks as the model takes. */
  readonly promptTokens: number;
  /** The block size that this stands for. */
  readonly blockTokens: number;
  /** The server named no size that can be true. */
  readonly isAssumed: boolean;
}

/** Of one block and a token, a server that always claims nine tenths would claim nothing, and yet all whole blocks of many contexts. */
const blocksPerTest = 2;

/**
 * Tokens in a prompt of which a server must claim a block if it claims all whole blocks of any context by a fixed share of the prompt: as in
 * {@link probeSize} where it names no size that can be true.
 */
export function leastPromptTokens(toldBlockTokens: number | null, maxModelLen: number | null): number {
  const { promptTokens, blockTokens, isAssumed } = probeSize(toldBlockTokens, maxModelLen);
  return isAssumed ? promptTokens : Math.min(promptTokens, blocksPerTest * blockTokens + 1);
}

export function probeSize(toldBlockTokens: number | null, maxModelLen: number | null): ProbeSize {
  const isAssumed = toldBlockTokens === null || toldBlockTokens > maxBlockTokens;
  const blockTokens = isAssumed ? usualBlockTokens : toldBlockTokens;
  // The prompt's last token is never reused, and the new one needs a place.
  const room = (maxModelLen ?? Infinity) - 2;
  const blocks = Math.max(0, Math.min(blocksPerPrompt, Math.floor(room / blockTokens)));
  return { promptTokens: blocks * blockTokens + 1, blockTokens, isAssumed };
}

/**
 * Asks the model step by step.
 *
 * @param ask sends a prompt of that many tokens; the prompts of all steps begin alike.
 * @throws CwmError only when `signal` was aborted.
 */
export async function askStepByStep(
  steps: readonly TinyStep[],
  size: ProbeSize,
  ask: (step: TinyStep, promptTokens: number) => Promise<TinyAnswer>,
  signal: AbortSignal,
): Promise<TinyAnswers> {
  const answers: Partial<Record<TinyStep, TinyAnswer>> = {};
  let requests = 0;
  let promptTokens = 0;
  for (const step of steps) {
    const isShorter = step === 'shorter' || step === 'otherSalt';
    const tokens = Math.max(1, isShorter ? size.promptTokens - 1 : size.promptTokens);
    requests++;
    promptTokens += tokens;
    try {
      answers[step] = await ask(step, tokens);
    } catch (error) {
      return { answers, failure: failureOrThrow(error, signal), requests, promptTokens };
    }
  }
  return { answers, failure: null, requests, promptTokens };
}

/** The server's failure as an error for the user. @throws every other error. */
export function failureOrThrow(error: unknown, signal: AbortSignal): CwmError {
  if (error instanceof CwmError && !signal.aborted) return error;
  throw error;
}

/** Random text of at least that many tokens, which no cache can know. */
export const neverSentText = (tokens: number): string =>
  Array.from(randomBytes(tokens), (byte) => byte.toString(16)).join(' ');

/** As many ids as wanted, of those that a tokenizer gave; where it gave none, ids that every vocabulary has. */
export function idsOfLength(tokens: number, given: readonly number[]): number[] {
  return Array.from({ length: tokens }, (_, index) => given[index % given.length] ?? randomInt(100, 250));
}
