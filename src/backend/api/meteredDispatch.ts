import type { Clock } from '../../base/clock.ts';
import type { RouteName } from '../../protocol/api.ts';
import { toCwmError, type ErrorName } from '../../protocol/errors.ts';
import type { Dispatch } from './dispatch.ts';

/** Counts operations. */
export interface OperationMeter {
  /** @param code of the error; null: it was answered. */
  ended(operation: RouteName, outcome: 'ok' | ErrorName, code: string | null, seconds: number): void;
  answered(operation: RouteName, result: unknown): void;
}

/** Tells the meter of each operation. */
export function meteredDispatch(dispatch: Dispatch, meter: OperationMeter, clock: Pick<Clock, 'elapsedMs'>): Dispatch {
  return async (request, ...rest) => {
    const startedMs = clock.elapsedMs();
    const seconds = (): number => (clock.elapsedMs() - startedMs) / 1000;
    try {
      const result = await dispatch(request, ...rest);
      meter.ended(request.route, 'ok', null, seconds());
      meter.answered(request.route, result);
      return result;
    } catch (error) {
      const { name, code } = toCwmError(error);
      meter.ended(request.route, name, code, seconds());
      throw error;
    }
  };
}
