import type { Clock } from '../../base/clock.ts';
import { routes } from '../../protocol/api.ts';
import { toCwmError, type CwmError } from '../../protocol/errors.ts';
import type { LogLevel } from '../../protocol/log.ts';
import { operationCounts, operationIds } from '../audit/operationFacts.ts';
import type { Log } from '../process/logFile.ts';
import { withRequest } from '../requestScope.ts';
import type { Dispatch } from './dispatch.ts';

/**
 * Logs each operation (S0-82): its start at `debug`; its end with milliseconds and counts, a change at `info` and a read at `debug`;
 * its failure at the level of the error's family. Every line that is logged inside it carries the operation, its session and its
 * window, and never a text, a key or a path.
 */
export function loggedDispatch(dispatch: Dispatch, log: Log, clock: Pick<Clock, 'elapsedMs'>): Dispatch {
  return (request, signal, ...rest) => {
    const { route: name, input, client, operationId } = request;
    const { kind } = routes[name];
    const ids = operationIds(name, input);
    return withRequest(
      { client, facts: { operation: name, ...(operationId !== undefined && { operationId }), ...ids } },
      async () => {
        const startedMs = clock.elapsedMs();
        const ms = (): number => Math.round(clock.elapsedMs() - startedMs);
        log.write('debug', 'operation started', { client });
        try {
          const result = await dispatch(request, signal, ...rest);
          const facts = { ...operationCounts(result), ...operationIds(name, result), ...ids, ms: ms() };
          log.write(kind === 'read' ? 'debug' : 'info', 'operation ended', facts);
          return result;
        } catch (error) {
          const failed = toCwmError(error);
          const facts = { code: failed.code, failure: failed.name, client, ms: ms() };
          if (failed.name === 'Internal') log.failure('operation failed', error, facts);
          else log.write(levelOf(failed), 'operation failed', facts);
          throw error;
        }
      },
    );
  };
}

/**
 * By the error's family. The caller can correct errors of validation (1), not found (2) and state (3), so they are no events of the
 * backend. Errors of connection (5), time-out (6) and resources (7) may pass by themselves. Those of storage, security and bugs need a
 * look.
 */
export function levelOf({ code, name }: Pick<CwmError, 'code' | 'name'>): LogLevel {
  if (name === 'Cancelled') return 'info';
  return levels[code.slice('CWM-'.length)[0] ?? ''] ?? 'error';
}

const levels: Readonly<Record<string, LogLevel>> = {
  1: 'info',
  2: 'info',
  3: 'info',
  5: 'warning',
  6: 'warning',
  7: 'warning',
};
