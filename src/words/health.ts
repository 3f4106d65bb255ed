import { formatDuration, formatTokens } from '../base/format.ts';
import type { RouteOutput } from '../protocol/api.ts';
import type { EngineStatus } from '../protocol/schemas/health.ts';
import { plural } from './amounts.ts';
import { problemText } from './failure.ts';
import { type Row, rowIf } from './rows.ts';

/** A model server: its name, and what is known of it in sentences that begin with the name. */
export interface EngineWords {
  readonly spec: string;
  /** `answers: vllm 0.25.1, model qwen3.` Continues the name. */
  readonly status: string;
  readonly notices: readonly string[];
}

export interface HealthWords {
  readonly sentence: string;
  readonly rows: readonly Row[];
  readonly engines: readonly EngineWords[];
}

/** @param encryption null when the client did not ask for it. */
export function healthWords(
  health: RouteOutput<'health'>,
  encryption: RouteOutput<'encryption'> | null = null,
): HealthWords {
  const key = encryption?.state === 'on' ? `with key ${encryption.keyId}, stored in ${encryption.keyFile}` : null;
  return {
    sentence: `The backend is ${health.status}: ${plural(health.sessions, 'session')}, ${plural(health.windows, 'window')}.`,
    rows: [
      ['Version', health.version],
      ['Process', String(health.pid)],
      ['Running for', formatDuration(health.uptimeSeconds * 1000)],
      ['Storage', health.storage],
      ...rowIf('Encrypted', key),
    ],
    engines: health.engines.map(engineWords),
  };
}

export function engineWords(engine: EngineStatus): EngineWords {
  return { spec: engine.spec, status: engine.reachable ? answer(engine) : absence(engine), notices: engine.notices };
}

function answer(engine: EngineStatus): string {
  const facts = [
    [engine.kind, engine.version].filter((part) => part !== null).join(' '),
    engine.model === null ? '' : `model ${engine.model}`,
    engine.maxModelLen === null ? '' : `up to ${formatTokens(engine.maxModelLen)}`,
    engine.blockTokens === null ? '' : `KV blocks of ${formatTokens(engine.blockTokens)}`,
    engine.pid === null ? '' : `process ${engine.pid}`,
    engine.url === null || engine.spec.startsWith(engine.url) ? '' : engine.url,
  ].filter((fact) => fact !== '');
  return `answers: ${facts.join(', ')}.`;
}

const absence = ({ problem }: EngineStatus): string =>
  problem === null ? 'is not running; it starts when it is needed.' : `cannot be used. ${problemText(problem)}`;
