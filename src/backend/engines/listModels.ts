import type { EngineRegistry } from '../../core/ports/engineRegistry.ts';
import type { RouteOutput } from '../../protocol/api.ts';

/** @throws CwmError as `Engine.describe`. */
export async function listModels(
  engines: EngineRegistry,
  spec: string | undefined,
  signal: AbortSignal,
): Promise<RouteOutput<'listModels'>> {
  const engine = engines.get(spec ?? engines.defaultSpec);
  const { model, models, notices } = await engine.describe(signal);
  return {
    engine: engine.spec,
    used: model.id,
    models: models ? [...models] : [{ id: model.id, use: 'unknown' }],
    notices: [...notices],
  };
}
