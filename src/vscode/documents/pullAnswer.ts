import { setTimeout as delay } from 'node:timers/promises';
import type { BackendConnection } from '../connection/backendConnection.ts';

/** An answer that another request asked for, as far as it has been pulled. */
export interface PulledAnswer {
  readonly answerId: string;
  answer: string;
  reasoning: string;
}

/** A reader sees no single pieces, so that a pull may wait for several. */
const pauseMs = 100;
const piecesAtOnce = 100;

/**
 * Pulls an answer while it comes. Resolves when it is stored.
 *
 * @param onGrown is called when `answer` has more text.
 * @throws CwmError MessageNotFound (it came to nothing), BackendUnavailable.
 */
export async function pullAnswer(
  connection: BackendConnection,
  session: string,
  answer: PulledAnswer,
  onGrown: () => void,
  signal: AbortSignal,
): Promise<void> {
  for (let after = 0; ;) {
    const pulled = await connection.call(
      'answerChunks',
      { session, message: answer.answerId, after, limit: piecesAtOnce },
      { signal },
    );
    for (const { part, text, sequence } of pulled.items) {
      if (part === 'text') answer.answer += text;
      else if (part === 'reasoning') answer.reasoning += text;
      after = sequence;
    }
    if (pulled.message) return;
    if (pulled.items.length > 0) onGrown();
    if (!pulled.hasMore) await delay(pauseMs, undefined, { signal });
  }
}
