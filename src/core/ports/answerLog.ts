import type { MessageId, SessionId } from '../../protocol/ids.ts';
import type { AnswerPart } from '../../protocol/schemas/answerChunk.ts';
import type { Message } from '../../protocol/schemas/session.ts';

/** An answer whose first piece has come: with its chunks, all that a turn would store. */
export interface BegunAnswer {
  readonly session: SessionId;
  /** Version of the session's record while the answer comes. Under another one, the turn has ended. */
  readonly version: number;
  /** What the turn adds besides; null where the pool has it. */
  readonly question: Message | null;
  /** The answer without its text. */
  readonly answer: Message;
  /** How many of the first chunks are those of an answer that this one continues. */
  readonly given: number;
}

/** The prompt's token ids: those that the session's record names, up to `shared`, and `ids` behind them. */
export interface LoggedPrompt {
  readonly shared: number;
  readonly ids: readonly number[];
}

/** Consecutive chunks of an answer. */
export interface AnswerBatch {
  readonly session: SessionId;
  readonly answer: MessageId;
  /** Sequence of the first of `chunks`. */
  readonly from: number;
  readonly chunks: readonly { readonly part: AnswerPart; readonly text: string }[];
  /** Token ids that came with them. */
  readonly ids: readonly number[];
  /** With the first batch. */
  readonly begun?: BegunAnswer;
  /** With the first batch by which it is known; none where the engine does not tell it. */
  readonly prompt?: LoggedPrompt;
}

/** What came of an answer before the process ended. */
export interface LeftAnswer extends BegunAnswer {
  readonly prompt: LoggedPrompt | null;
  /** Without gaps. */
  readonly chunks: AnswerBatch['chunks'];
  readonly ids: readonly number[];
}

/**
 * Answers while they come, so that a crash loses at most the last batch. It is one log for all sessions: batches that wait for the disk go
 * there together.
 */
export interface AnswerLog {
  /** Batches of one answer are written in the order of the calls. */
  append(batch: AnswerBatch): Promise<void>;
  /** The session's answer, if a turn left one; null also where its beginning is damaged. */
  left(session: SessionId): Promise<LeftAnswer | null>;
  /** The session's answer is stored, or given up: its batches may go. */
  ended(session: SessionId): Promise<void>;
}
