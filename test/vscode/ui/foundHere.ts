import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { FakeVllm } from '../../fakes/fakeVllm.ts';

/** How the list of model servers shows what {@link machineToFind} has. */
export const foundHere = { server: 'fake-model', file: 'heron-7B-Q4_K_M' } as const;

/** A home directory with a model file, and a server on loopback. @returns what a process needs in its environment to find both. */
export async function machineToFind(
  home: string,
): Promise<AsyncDisposable & { readonly environment: NodeJS.ProcessEnv }> {
  const models = path.join(home, '.lmstudio', 'models');
  mkdirSync(models, { recursive: true });
  writeFileSync(path.join(models, `${foundHere.file}.gguf`), 'GGUF');
  const server = await FakeVllm.start();
  return {
    environment: { HOME: home, OPENAI_BASE_URL: `${server.url}/v1` },
    [Symbol.asyncDispose]: () => server.stop(),
  };
}
