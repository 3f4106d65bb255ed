/** What an operation reports to its caller while it works; its result is not part of it. */
export interface Reporter {
  /** The next step begins. */
  readonly progress: Progress;
  /** The next piece of the answer that the engine is generating. The pieces in order are the answer. */
  readonly text: (piece: string) => void;
}

/** @param step in plain words, like "Reading files". */
export type Progress = (step: string) => void;

/** For a caller that only wants the result. */
export const silent: Reporter = { progress: () => undefined, text: () => undefined };
