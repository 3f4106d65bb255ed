import type { RouteOutput } from '../../protocol/api.ts';
import { apiVersions, productVersion } from '../../protocol/version.ts';
import type { DoctorParts } from './doctor.ts';
import type { BackendEngines } from '../engines/backendEngines.ts';
import type { Operations } from '../../core/operations.ts';

export interface HealthParts {
  readonly storage: string;
  readonly operations: Pick<Operations, 'listSessions' | 'listWindows'>;
  readonly engines: Pick<BackendEngines, 'lastStatuses' | 'refresh' | 'defaultSpec'>;
  readonly problems: DoctorParts['problems'];
  readonly limitation: DoctorParts['limitation'];
}

/**
 * The backend's health. Without `probe` it asks no engine, so that it answers at once even when one hangs, and reports each engine's
 * last known status.
 */
export async function checkHealth(
  parts: HealthParts,
  probe: boolean,
  signal: AbortSignal,
): Promise<RouteOutput<'health'>> {
  const [[asking], [reading, counts]] = await Promise.all([
    timed(probe ? parts.engines.refresh() : Promise.resolve()),
    timed(countBoth(parts.operations, signal)),
  ]);
  const engines = parts.engines.lastStatuses;
  const [sessions, windows] = counts ?? [null, null];
  const readable = counts !== null && counts !== undefined;
  const flawless =
    parts.limitation === null && parts.problems().length === 0 && engines.every(({ problem }) => problem === null);
  return {
    status: !readable ? 'unhealthy' : flawless ? 'healthy' : 'degraded',
    version: productVersion,
    api: apiVersions,
    pid: process.pid,
    storage: parts.storage,
    uptimeSeconds: Math.floor(process.uptime()),
    sessions: sessions ?? 0,
    windows: windows ?? 0,
    engines,
    defaultEngine: parts.engines.defaultSpec,
    components: [
      {
        name: 'store',
        status: !readable ? 'unhealthy' : parts.problems().length > 0 || parts.limitation ? 'degraded' : 'healthy',
        message: !readable
          ? 'It cannot be read.'
          : (parts.limitation?.message ?? storeMessage(parts.problems().length)),
        latencyMs: reading,
      },
      ...engines.map(({ spec, reachable, problem }) => ({
        name: spec,
        // Conversations can be read without a model server.
        status: reachable && problem === null ? ('healthy' as const) : ('degraded' as const),
        message: problem?.message ?? (reachable ? 'It answers.' : 'Nobody has asked it yet.'),
        latencyMs: probe ? asking : null,
      })),
    ],
  };
}

const storeMessage = (problems: number): string =>
  problems === 0 ? 'It can be read.' : `It can be read; ${problems} of its records had to be set aside.`;

/** How long a part may take to answer. */
const partMs = 5000;

/** The milliseconds that it took, and its result; undefined when it did not come in time. */
async function timed<T>(work: Promise<T>): Promise<[number, T | undefined]> {
  const startedMs = performance.now();
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => late.resolve(undefined), partMs);
  try {
    const result = await Promise.race([work, late.promise]);
    return [Math.round(performance.now() - startedMs), result];
  } finally {
    clearTimeout(timer);
  }
}

async function countBoth(operations: HealthParts['operations'], signal: AbortSignal): Promise<[number, number] | null> {
  const sessions = await countOrNull(operations.listSessions({ limit: 1 }, signal));
  const windows = await countOrNull(operations.listWindows({ limit: 1 }, signal));
  return sessions === null || windows === null ? null : [sessions, windows];
}

async function countOrNull(page: Promise<{ total: number }>): Promise<number | null> {
  try {
    return (await page).total;
  } catch {
    return null;
  }
}
