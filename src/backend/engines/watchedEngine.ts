import type { Engine, EngineDescription, Generation } from '../../core/ports/engine.ts';

export interface DescriptionWatcher {
  seen(description: EngineDescription): void;
  failed(error: unknown): void;
  generated(generation: Generation): void;
}

/**
 * Passes each description of the engine to `watcher` as well. Every operation asks for one first, so the watcher knows the latest
 * status without a request of its own. An abort says nothing about the engine, so the watcher does not get it.
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
  detokenize: (...args) => engine.detokenize(...args),
  async generate(...args) {
    const generation = await engine.generate(...args);
    watcher.generated(generation);
    return generation;
  },
  persist: (...args) => engine.persist(...args),
  expect: (hashes) => engine.expect?.(hashes),
  ...(engine.nextChatIds && { nextChatIds: engine.nextChatIds.bind(engine) }),
  ...(engine.letPass && { letPass: engine.letPass.bind(engine) }),
  ...(engine.slots && { slots: engine.slots.bind(engine) }),
  ...(engine.leave && { leave: engine.leave.bind(engine) }),
  ...(engine.isUnused && { isUnused: engine.isUnused.bind(engine) }),
  ...(engine.pack && { pack: engine.pack.bind(engine) }),
  ...(engine.unpack && { unpack: engine.unpack.bind(engine) }),
  restore: (...args) => engine.restore(...args),
  measure: (...args) => engine.measure(...args),
  locate: (...args) => engine.locate(...args),
  checksum: (...args) => engine.checksum(...args),
  forget: (...args) => engine.forget(...args),
  close: () => engine.close(),
});
