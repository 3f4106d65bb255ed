import { Hono } from 'hono';
import { describe, expect, it } from 'vitest';
import { errorBody, toApiError } from '../../../src/embedded/http/apiError.ts';
import { addKvRoutes } from '../../../src/embedded/http/kvRoutes.ts';
import { PackError, type KvPack } from '../../../src/embedded/kv/kvPack.ts';

async function asked(pack: Partial<KvPack> | null, path: string, body: string) {
  const app = new Hono();
  app.onError((error, context) => {
    const failure = toApiError(error);
    return context.json(errorBody(failure), failure.status);
  });
  addKvRoutes(app, pack as KvPack | null);
  const response = await app.request(path, { method: 'POST', body });
  const { error } = (await response.json()) as { error?: { message: string } };
  return { status: response.status, said: error?.message };
}

const context = { tokens: [1, 2], cache_salt: 's' };

describe('the routes for KV in files', () => {
  it('refuse a model whose state nothing here can check', async () => {
    for (const [path, more] of [
      ['/cwm/kv/pack', {}],
      ['/cwm/kv/unpack', { path: '/file', offset: 0 }],
    ] as const)
      expect(await asked(null, path, JSON.stringify({ ...context, ...more }))).toEqual({
        status: 400,
        said: expect.stringContaining('cannot be checked'),
      });
  });

  it('say what is wrong with a file, and nothing of what went wrong inside', async () => {
    const write = JSON.stringify({ ...context, path: '/file' });
    const fails = (error: Error) => ({
      write: async () => {
        throw error;
      },
    });
    expect(await asked(fails(new PackError('/file is no file.')), '/cwm/kv/pack', write)).toEqual({
      status: 400,
      said: '/file is no file.',
    });
    expect(await asked(fails(new Error('a secret')), '/cwm/kv/pack', write)).toEqual({
      status: 500,
      said: 'The engine failed; its log has the details.',
    });
  });

  it.each([
    ['no JSON', '{"tokens":', 'The request is not JSON.'],
    ['a wrong field', JSON.stringify({ ...context, tokens: [-1] }), 'The request is not valid at "tokens"'],
  ])('refuse %s', async (_, body, said) =>
    expect(await asked({}, '/cwm/kv/pack', body)).toEqual({ status: 400, said: expect.stringContaining(said) }),
  );
});
