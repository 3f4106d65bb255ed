import type { SessionId } from '../../protocol/ids.ts';
import type { AnswerError } from '../formats/answerError.ts';
import type { AnswerUsage } from '../formats/item.ts';

/** Why a prompt left what the one before it had in common with it. */
export type BreakCause = 'system' | 'tools' | 'messages';

/** What one client did since the backend started. */
export interface ClientFigures {
  requests: number;
  /** Requests of a conversation that got an answer. */
  answers: number;
  /** Those that got an error in its place. */
  failures: number;
  /** The last one, in the words of who refused it; null: none. */
  lastFailure: string | null;
  turns: number;
  readonly sessions: Set<SessionId>;
  /** Of the last turn. */
  lastSession: SessionId | null;
  promptTokens: number;
  cachedTokens: number;
  /** Computed for the request before, and again: because a prompt broke, or the server lost its memory. */
  tokensAgain: number;
  /** What computing those took. */
  msAgain: number;
  readonly breaks: Record<BreakCause, number>;
  lastBreak: string | null;
  lastRequestAt: string | null;
  project: string | null;
}

const mostNames = 256;
const mostFailure = 300;

/** Figures of the clients, by name. */
export class Figures {
  readonly #byName = new Map<string, ClientFigures>();

  of(name: string): ClientFigures {
    let found = this.#byName.get(name);
    if (!found) {
      found = {
        requests: 0,
        answers: 0,
        failures: 0,
        lastFailure: null,
        turns: 0,
        sessions: new Set(),
        lastSession: null,
        promptTokens: 0,
        cachedTokens: 0,
        tokensAgain: 0,
        msAgain: 0,
        breaks: { system: 0, tools: 0, messages: 0 },
        lastBreak: null,
        lastRequestAt: null,
        project: null,
      };
      this.#byName.set(name, found);
      // Who asks names itself.
      const [oldest] = this.#byName.keys();
      if (this.#byName.size > mostNames && oldest !== undefined) this.#byName.delete(oldest);
    }
    return found;
  }

  get names(): readonly string[] {
    return [...this.#byName.keys()];
  }

  computedAgain(name: string, tokens: number, ms: number): void {
    const figures = this.of(name);
    figures.tokensAgain += tokens;
    figures.msAgain += ms;
  }

  /** A request of a conversation got an error. */
  failed(name: string, { message, code }: Pick<AnswerError, 'message' | 'code'>): void {
    const figures = this.of(name);
    figures.failures++;
    figures.lastFailure = `${code === null ? '' : `${code}: `}${message}`.replaceAll(/\s+/g, ' ').slice(0, mostFailure);
  }

  answered(name: string, usage: AnswerUsage | null): void {
    const figures = this.of(name);
    figures.answers++;
    // A server that does not tell its reuse must not lower the share of those that do.
    if (!usage || usage.cachedTokens === null) return;
    figures.promptTokens += usage.promptTokens;
    figures.cachedTokens += usage.cachedTokens;
  }
}
