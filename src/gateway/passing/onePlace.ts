import { KeyedQueue } from '../../base/serialQueue.ts';

/**
 * Who may use a model server that has room for one conversation. It would take a second request only after the first one in any case; here
 * the first one's KV can be saved between the two.
 */
export class OnePlace {
  readonly #queue = new KeyedQueue<string>();

  /** @returns what gives the place to the next one. @throws the signal's reason. */
  async take(server: string, signal: AbortSignal): Promise<() => void> {
    const taken = Promise.withResolvers<void>();
    const { promise: left, resolve: leave } = Promise.withResolvers<void>();
    const turn = (): Promise<void> => {
      taken.resolve();
      return left;
    };
    this.#queue.run(server, turn, signal).catch(taken.reject);
    await taken.promise;
    return leave;
  }
}
