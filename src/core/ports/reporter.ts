import type { MessageId } from '../../protocol/ids.ts';

/** What an operation reports to its caller while it works; its result is not part of it. */
export interface Reporter {
  /** The next step begins. */
  readonly progress: Progress;
  /** An answer is asked for. Its chunks can be pulled by this id while it comes. */
  readonly begun: (answer: MessageId) => void;
  /**
   * The next piece of the answer that the engine is generating. The pieces in order are the answer.
   *
   * @param sequence of its chunk, 1-based and without gaps in one answer.
   */
  readonly text: (piece: string, sequence: number) => void;
  /** The same of what the model writes for itself. */
  readonly reasoning: (piece: string, sequence: number) => void;
  /** The same of a tool call: its name, then its arguments. */
  readonly tool: (piece: string, sequence: number) => void;
}

/** @param step in plain words, like "Reading files". */
export type Progress = (step: string) => void;

/** For a caller that only wants the result. */
export const silent: Reporter = {
  progress: () => undefined,
  begun: () => undefined,
  text: () => undefined,
  reasoning: () => undefined,
  tool: () => undefined,
};
