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
  if (probe) await parts.engines.refresh();
  const sessions = await countOrNull(parts.operations.listSessions({ limit: 1 }, signal));
  const windows = await countOrNull(parts.operations.listWindows({ limit: 1 }, signal));
  const engines = parts.engines.lastStatuses;
  const readable = sessions !== null && windows !== null;
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
  };
}

async function countOrNull(page: Promise<{ total: number }>): Promise<number | null> {
  try {
    return (await page).total;
  } catch {
    return null;
  }
}
