/** A place that a request has. */
export interface TakenPlace {
  readonly slot: number;
  /** Gives it to the next one. Twice does nothing. */
  readonly leave: () => void;
}

interface Server {
  readonly taken: Set<number>;
  /** The oldest first. Each says whether it has a place now. */
  readonly waiting: Set<() => boolean>;
}

/**
 * Who may use which place of a model server that has room for so many conversations. It would take a second request for a place only after the first
 * one in any case; here the first one's KV can be saved between the two.
 */
export class Places {
  readonly #servers = new Map<string, Server>();

  /**
   * @param choose one of the places that are free; null: none of them will do. It is asked again whenever one becomes free, behind those that have
   * waited longer. Default: any. @throws the signal's reason.
   */
  async take(
    server: string,
    signal: AbortSignal,
    places = 1,
    choose: (free: readonly number[]) => number | null = ([first]) => first ?? null,
  ): Promise<TakenPlace> {
    signal.throwIfAborted();
    const at = this.#servers.get(server) ?? { taken: new Set(), waiting: new Set() };
    this.#servers.set(server, at);
    const { promise, resolve, reject } = Promise.withResolvers<TakenPlace>();
    const tryIt = (): boolean => {
      const free = Array.from({ length: places }, (_, slot) => slot).filter((slot) => !at.taken.has(slot));
      const slot = choose(free);
      if (slot === null) return false;
      at.taken.add(slot);
      let hasLeft = false;
      const leave = (): void => {
        if (hasLeft) return;
        hasLeft = true;
        at.taken.delete(slot);
        giveNext(at);
        if (at.taken.size === 0 && at.waiting.size === 0) this.#servers.delete(server);
      };
      resolve({ slot, leave });
      return true;
    };
    const onAbort = (): void => {
      at.waiting.delete(tryIt);
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    at.waiting.add(tryIt);
    giveNext(at);
    return promise.finally(() => signal.removeEventListener('abort', onAbort));
  }

  isTaken(server: string, slot: number): boolean {
    return this.#servers.get(server)?.taken.has(slot) === true;
  }
}

function giveNext({ waiting }: Server): void {
  for (const tryIt of waiting) if (tryIt()) waiting.delete(tryIt);
}
