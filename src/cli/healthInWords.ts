import type { RouteOutput } from '../protocol/api.ts';
import type { EngineStatus } from '../protocol/schemas/health.ts';
import { formatCount } from '../base/format.ts';
import { formatFacts, plural } from './terminal/layout.ts';

export function healthInWords(health: RouteOutput<'health'>): string {
  const { status, pid, version, storage, sessions, windows, engines } = health;
  return [
    `The backend is ${status}: ${plural(sessions, 'session')}, ${plural(windows, 'window')}.`,
    formatFacts([
      ['backend', `version ${version}, process ${pid}, up ${Math.floor(health.uptimeSeconds / 60)} min`],
      ['storage', storage],
    ]),
    ...engines.map(engineInWords),
  ].join('\n');
}

function engineInWords(engine: EngineStatus): string {
  const { spec, reachable, kind, version, model, maxModelLen, problem } = engine;
  if (!reachable)
    return `  engine   ${spec}: ${problem === null ? 'not running' : `${problem.message} (${problem.code})`}`;
  const limit = maxModelLen === null ? '' : `, up to ${formatCount(maxModelLen)} tokens`;
  return `  engine   ${spec}: ${kind ?? 'unknown'} ${version ?? ''}, ${model ?? 'no model'}${limit}`;
}
