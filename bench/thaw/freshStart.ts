import { readFileSync } from 'node:fs';
import {
  blockNames,
  cachedBy,
  ended,
  firstMessage,
  forkEngine,
  type Completion,
} from '../../test/embedded/support/engineProcess.ts';
import { mustHold, timed } from '../benchmark.ts';
import { reusable } from './measuredEngine.ts';
import { dropCaches } from './pageCache.ts';

/** Milliseconds from the start of an engine's process. */
export interface FreshStart {
  /** Until it served, with nothing to load. */
  readonly readyMs: number;
  /** Until the first token of a prompt whose KV was on the disk alone, and which the engine was told of at its start. */
  readonly firstTokenMs: number;
  /** Reading those files, and nothing else. */
  readonly readMs: number;
  readonly rounds: number;
}

const rounds = 3;

/** The fastest of each; null where the system cannot forget files. `files`: those of the prompt. */
export async function freshStart(
  flags: readonly string[],
  blockTokens: number,
  ids: readonly number[],
  files: readonly string[],
  signal: AbortSignal,
): Promise<FreshStart | null> {
  const [ready, firstToken, read]: [number[], number[], number[]] = [[], [], []];
  for (let round = 0; round < rounds; round++) {
    signal.throwIfAborted();
    ready.push((await startEngine(flags, blockTokens, null)).readyMs);
    if (!dropCaches(files)) return null;
    firstToken.push((await startEngine(flags, blockTokens, ids)).endMs);
    if (!dropCaches(files)) return null;
    read.push((await timed(async () => files.forEach((path) => readFileSync(path)))).ms);
  }
  return { readyMs: Math.min(...ready), firstTokenMs: Math.min(...firstToken), readMs: Math.min(...read), rounds };
}

/** Starts an engine, asks it for one token where there is a prompt, and ends it. */
async function startEngine(
  flags: readonly string[],
  blockTokens: number,
  ids: readonly number[] | null,
): Promise<{ readonly readyMs: number; readonly endMs: number }> {
  const startedMs = performance.now();
  const child = forkEngine(flags);
  try {
    if (ids) child.send({ prefetch: blockNames(ids, null, blockTokens) });
    const message = await firstMessage(child);
    if (!('url' in message)) throw new Error(message.error.message);
    const readyMs = performance.now() - startedMs;
    if (ids) {
      const body = JSON.stringify({ prompt: ids, max_tokens: 1, temperature: 0 });
      const response = await fetch(`${message.url}/v1/completions`, { method: 'POST', body });
      const cached = cachedBy((await response.json()) as Completion);
      const expected = reusable(ids, blockTokens);
      mustHold(cached === expected, `${cached} tokens were reused, not ${expected}`);
    }
    return { readyMs, endMs: performance.now() - startedMs };
  } finally {
    await ended(child, () => child.kill('SIGKILL'));
  }
}
