import type { Hono } from 'hono';
import * as z from 'zod/mini';
import { PackError, type KvPack } from '../kv/kvPack.ts';
import { ApiError } from './apiError.ts';
import { jsonOf } from './jsonOf.ts';
import { parseRequest, tokenIds } from './requests.ts';

const contextFields = { tokens: tokenIds, cache_salt: z.string() } as const;
const packSchema = z.object({ ...contextFields, path: z.optional(z.string()) });
const unpackSchema = z.object({ ...contextFields, path: z.string(), offset: z.int().check(z.nonnegative()) });

/** KV of a context into a file, and out of one. vLLM has no such routes. */
export function addKvRoutes(app: Hono, pack: KvPack | null): void {
  const usable = (): KvPack => {
    if (pack) return pack;
    throw new ApiError(
      400,
      'The state of this model cannot be checked, so that its KV cannot be taken to another machine.',
    );
  };

  /** Without a path, only the size is told. */
  app.post('/cwm/kv/pack', async (context) => {
    const { tokens, cache_salt: salt, path } = parseRequest(packSchema, await jsonOf(context));
    const { signal } = context.req.raw;
    return context.json(
      path === undefined ? usable().measure(tokens, salt) : await asked(usable().write(tokens, salt, path, signal)),
    );
  });

  app.post('/cwm/kv/unpack', async (context) => {
    const { tokens, cache_salt: salt, ...place } = parseRequest(unpackSchema, await jsonOf(context));
    return context.json(await asked(usable().read(tokens, salt, place, context.req.raw.signal)));
  });
}

async function asked<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw error instanceof PackError ? new ApiError(400, error.message) : error;
  }
}
