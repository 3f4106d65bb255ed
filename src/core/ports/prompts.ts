import type { PromptId } from '../../protocol/ids.ts';
import type { NamedPrompt } from '../../protocol/schemas/sessionSettings.ts';

/** System prompts by their ids. Sessions have copies of their own, so a change here reaches no session by itself. */
export interface PromptStore {
  /** By id. A damaged one is set aside and left out. */
  list(): Promise<readonly NamedPrompt[]>;
  get(id: PromptId): Promise<NamedPrompt | null>;
  /** Replaces the one with that id, if there is one. */
  put(prompt: NamedPrompt): Promise<void>;
  /** Moves it to the trash. Nothing happens when there is none. */
  delete(id: PromptId): Promise<void>;
}
