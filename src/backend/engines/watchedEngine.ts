import type { Engine, EngineDescription } from '../../core/ports/engine.ts';

export interface DescriptionWatcher {
  seen(description: EngineDescription): void;
  failed(error: unknown): void;
}

/**
 * The engine itself, whose descriptions are also told to `watcher`. Every operation asks for one first, so this is how it is known
 * how an engine was last seen, without asking it again. An abort says nothing about the engine and is not told.
 */
export const watchedEngine = (engine: Engine, watcher: DescriptionWatcher): Engine => ({
  spec: engine.spec,
  async describe(signal) {
    try {
      const description = await engine.describe(signal);
      watcher.seen(description);
      return description;
    } catch (error) {
      if (!signal.aborted) watcher.failed(error);
      throw error;
    }
  },
  probe: (...args) => engine.probe(...args),
  tokenize: (...args) => engine.tokenize(...args),
  generate: (...args) => engine.generate(...args),
  persist: (...args) => engine.persist(...args),
  restore: (...args) => engine.restore(...args),
  measure: (...args) => engine.measure(...args),
  locate: (...args) => engine.locate(...args),
  checksum: (...args) => engine.checksum(...args),
  forget: (...args) => engine.forget(...args),
  close: () => engine.close(),
});
