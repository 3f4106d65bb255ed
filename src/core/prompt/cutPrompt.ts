import { formatCount } from '../../base/format.ts';
import type { Generation } from '../ports/engine.ts';

/** A server that cuts a conversation without saying so is found by its own count. */
export const cutNotes = (cut: Generation['cut']): string[] =>
  cut
    ? [
        `The server computed ${formatCount(cut.countedTokens)} tokens of a conversation of at least ${formatCount(cut.sentTokens)}: it cut the conversation without saying so, and the model did not see all of it. Give the model a longer context at the server, or continue in a new session.`,
      ]
    : [];
