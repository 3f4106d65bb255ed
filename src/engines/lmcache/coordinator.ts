import type * as z from 'zod/mini';
import type { KvContext } from '../../core/ports/engine.ts';
import { CwmError } from '../../protocol/errors.ts';
import { LinkFactory } from '../http/linkFactory.ts';
import type { LinkOptions, LinkRequest } from '../http/link.ts';
import { isLmcacheSalt } from './salt.ts';
import { deletedSchema, instancesSchema, lookupSchema, pinsSchema, prefetchSchema, submittedSchema } from './wire.ts';

/** A context in LMCache's terms. */
export type CachedContext = Pick<KvContext, 'ids' | 'salt'> & { readonly model: string };

/** Places of the pieces of a context. It is only a hint, made from events, and empty after a restart of the coordinator. */
export interface Placement {
  readonly pieces: number;
  /** Number of leading pieces, without a gap, that exist anywhere. */
  readonly found: number;
  /** Number of those in the tier that outlives a restart. */
  readonly lasting: number;
  /** Instances that reported some of it. An instance that reported pieces on disk may have ended. */
  readonly instances: readonly string[];
}

export interface CoordinatorOptions extends Omit<LinkOptions, 'connect' | 'apiKey' | 'onConnectionFailure'> {
  /** As the user named it: `http://host:9300`, with `?world_size=N` for a model in N parts. */
  readonly url: string;
}

/**
 * A client of LMCache's coordinator, which knows the pieces of each instance, pins them and deletes them. It has no authentication, so
 * nothing secret but the salt goes there. All methods throw `CwmError` as `Engine` does.
 */
export class LmcacheCoordinator {
  readonly #links: LinkFactory;
  readonly #worldSize: number;

  constructor({ url, ...options }: CoordinatorOptions) {
    const parsed = new URL(url);
    this.#worldSize = Number(parsed.searchParams.get('world_size') ?? 1);
    const address = { url: parsed.origin + parsed.pathname };
    this.#links = new LinkFactory({
      ...options,
      apiKey: undefined,
      connect: async () => address,
      onConnectionFailure: () => undefined,
    });
  }

  async lookup(context: CachedContext, signal: AbortSignal): Promise<Placement> {
    const { chunks, results } = await this.#send(
      'POST',
      '/directory/lookup',
      this.#body(context),
      lookupSchema,
      signal,
    );
    const pieces = [...Map.groupBy(results, ({ key }) => key.chunk_hash_hex).values()];
    const gap = pieces.findIndex((parts) => parts.some(({ placements }) => placements.length === 0));
    const leading = gap < 0 ? pieces : pieces.slice(0, gap);
    const isLasting = ({ placements }: (typeof results)[number]): boolean =>
      placements.some(({ tier }) => tier === 'l2');
    return {
      pieces: chunks,
      found: leading.length,
      lasting: leading.filter((parts) => parts.every(isLasting)).length,
      instances: [...new Set(leading.flat().flatMap(({ placements }) => placements.map(({ instance_id: id }) => id)))],
    };
  }

  /** The running instances. An instance without a name of its own gets another one after a restart. */
  async instances(signal: AbortSignal): Promise<readonly string[]> {
    const { instances } = await this.#send('GET', '/instances', undefined, instancesSchema, signal);
    return instances.map(({ instance_id: id }) => id);
  }

  /** @returns an id for `isPrefetched`, or null when there is nothing to load. */
  async prefetch(context: CachedContext, instance: string, signal: AbortSignal): Promise<string | null> {
    const body = { ...this.#body(context), instance_id: instance };
    const { request_id: id } = await this.#send('POST', '/cache/prefetches', body, submittedSchema, signal);
    return id === '' ? null : id;
  }

  async isPrefetched(instance: string, id: string, signal: AbortSignal): Promise<boolean> {
    const path = `/cache/prefetches/${encodeURIComponent(instance)}/${encodeURIComponent(id)}`;
    return (await this.#send('GET', path, undefined, prefetchSchema, signal)).status === 'completed';
  }

  /** Pins are counted: each one takes an `unpin` of its own. Pieces that are not stored yet are pinned as well. */
  async pin(context: CachedContext, signal: AbortSignal): Promise<void> {
    await this.#send('POST', '/cache/pins', this.#body(context), pinsSchema, signal);
  }

  async unpin(context: CachedContext, signal: AbortSignal): Promise<void> {
    await this.#send('DELETE', '/cache/pins', this.#body(context), pinsSchema, signal);
  }

  /** Deletes only pieces that nobody has pinned. */
  async delete(context: CachedContext, instance: string, signal: AbortSignal): Promise<void> {
    const body = { ...this.#body(context), instance_id: instance, tier: 'all', force: false };
    await this.#send('POST', '/cache/delete', body, deletedSchema, signal);
  }

  close(): Promise<void> {
    return this.#links.close();
  }

  #body({ ids, salt, model }: CachedContext) {
    if (!isLmcacheSalt(salt)) throw new CwmError('InvalidParameter', 'LMCache does not take this cache salt.');
    return { model_name: model, world_size: this.#worldSize, token_ids: ids, cache_salt: salt };
  }

  async #send<Schema extends z.ZodMiniType>(
    method: LinkRequest['method'],
    path: string,
    body: unknown,
    schema: Schema,
    signal: AbortSignal,
  ): Promise<z.output<Schema>> {
    const request: LinkRequest = { method, path, body, patience: 'small', wrongAnswer: 'NotAnEngine', once: true };
    return this.#links.use(signal, async (link, signal) => (await link.json(request, schema, signal)).value);
  }
}
