import type { Clock } from '../../base/clock.ts';
import { routes, type RouteName } from '../../protocol/api.ts';
import { shapes } from '../../protocol/routes/shapes.ts';
import type { AuditEvent, AuditFact } from '../../protocol/schemas/audit.ts';
import type { CwmError } from '../../protocol/errors.ts';
import { operationIds } from './operationFacts.ts';

/** A request that was refused or failed, and why. */
export interface Refusal {
  /** Null: the request reached no route. */
  readonly route: RouteName | null;
  /** Null: the input was not understood. */
  readonly input: unknown;
  readonly error: CwmError;
  readonly client: string;
}

const maxPerMinute = 60;
const minuteMs = 60_000;

/** Records refusals in the audit log: at most 60 a minute, and how many more there were. */
export class Refusals {
  readonly #record: (facts: readonly AuditFact[]) => Promise<void>;
  readonly #clock: Pick<Clock, 'elapsedMs'>;
  #minuteBeganMs = Number.NEGATIVE_INFINITY;
  #inThisMinute = 0;
  #unrecorded = 0;

  constructor(record: (facts: readonly AuditFact[]) => Promise<void>, clock: Pick<Clock, 'elapsedMs'>) {
    this.#record = record;
    this.#clock = clock;
  }

  async note({ route, input, error, client }: Refusal): Promise<void> {
    const event = eventOf(error, route);
    if (event === null) return;
    const nowMs = this.#clock.elapsedMs();
    if (nowMs - this.#minuteBeganMs >= minuteMs) {
      this.#minuteBeganMs = nowMs;
      this.#inThisMinute = 0;
    }
    if (++this.#inThisMinute > maxPerMinute) {
      this.#unrecorded++;
      return;
    }
    const unrecorded = this.#unrecorded;
    this.#unrecorded = 0;
    await this.#record([
      {
        event,
        outcome: error.code,
        client,
        ...(route !== null && { route }),
        ...operationIds(route, input),
        ...parameterOf(route, error),
        ...(unrecorded > 0 && { unrecorded }),
      },
    ]);
  }
}

function eventOf({ code, name }: CwmError, route: RouteName | null): AuditEvent | null {
  if (code.startsWith('CWM-8')) return 'ACCESS_DENIED';
  // Of this family, only UnsupportedSchema is about the store and not about the input.
  if (code.startsWith('CWM-1') && name !== 'UnsupportedSchema') return 'VALIDATION_FAILURE';
  return (route && routes[route].audited) ?? null;
}

/** Only names that the route has: any other name is text that a client made up. */
function parameterOf(route: RouteName | null, { context }: CwmError): Pick<AuditFact, 'parameter'> {
  const given = context?.['parameter'];
  const name = typeof given === 'string' ? given.split('.')[0] : undefined;
  if (route === null || name === undefined || !Object.hasOwn(shapes[route].input.shape, name)) return {};
  return { parameter: name };
}
