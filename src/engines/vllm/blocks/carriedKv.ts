import type { KvContext, KvPlace, PackedKv, TakenKv } from '../../../core/ports/engine.ts';
import type { Link } from '../../http/link.ts';
import { packedKvSchema, takenKvSchema } from '../wire.ts';

/** Storing or taking KV a second time would double it or fail: a request that breaks off is not repeated. */
const asked = { method: 'POST', patience: 'long', wrongAnswer: 'EngineFailed', once: true } as const;

/** Has the embedded engine append the KV of a context to a file. @param path undefined: it tells the size only. */
export async function packKv(
  link: Link,
  { ids, salt }: KvContext,
  path: string | undefined,
  signal: AbortSignal,
): Promise<PackedKv> {
  const body = { tokens: ids, cache_salt: salt, ...(path !== undefined && { path }) };
  return (await link.json({ ...asked, path: '/cwm/kv/pack', body }, packedKvSchema, signal)).value;
}

/** Has the embedded engine take the KV of a context out of a file. */
export async function unpackKv(
  link: Link,
  { ids, salt }: KvContext,
  place: KvPlace,
  signal: AbortSignal,
): Promise<TakenKv> {
  const body = { tokens: ids, cache_salt: salt, ...place };
  return (await link.json({ ...asked, path: '/cwm/kv/unpack', body }, takenKvSchema, signal)).value;
}
