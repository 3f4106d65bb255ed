import type { Reporter } from '../../../src/core/ports/reporter.ts';
import type { Operations } from '../../../src/core/operations.ts';
import type { RouteName } from '../../../src/protocol/api.ts';
import { CwmError } from '../../../src/protocol/errors.ts';
import { newSession, type Session } from '../../../src/protocol/schemas/session.ts';
import { lineageId, sessionId } from '../../support/ids.ts';

export interface DomainCall {
  readonly route: string;
  readonly input: unknown;
  readonly signal: AbortSignal;
}

export const someSession = (id: string): Session =>
  newSession({
    id: sessionId(id),
    title: 'A title',
    project: null,
    engine: 'embedded',
    model: null,
    lineage: lineageId('lineage'),
    createdAt: '2026-01-01T00:00:00.000Z',
  });

const nothingFound = { items: [], total: 0, hasMore: false };

/** A domain without rules: it writes down what it is asked and answers what the test says. */
export class FakeDomain {
  readonly calls: DomainCall[] = [];
  readonly #answers = new Map<string, (input: never, signal: AbortSignal, reporter: Reporter) => unknown>([
    ['listSessions', () => nothingFound],
    ['listWindows', () => nothingFound],
  ]);

  on(route: RouteName, answer: (input: never, signal: AbortSignal, reporter: Reporter) => unknown): void {
    this.#answers.set(route, answer);
  }

  readonly operations: Operations = new Proxy({} as Operations, {
    get: (_, route: string) => async (input: unknown, signal: AbortSignal, reporter: Reporter) => {
      this.calls.push({ route, input, signal });
      const answer = this.#answers.get(route);
      if (!answer) throw new CwmError('SessionNotFound', `The fake does not answer ${route}.`);
      return await answer(input as never, signal, reporter);
    },
  });
}

/** Never resolves; rejects when aborted. */
export const untilAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
