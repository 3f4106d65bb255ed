import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { realBackends } from '../client/support/realBackends.ts';
import { FakeVllm } from '../fakes/fakeVllm.ts';
import { wholeBackends } from '../security/support/wholeBackend.ts';
import { cliOn } from './support/cli.ts';

const { makeStorage } = realBackends();
const startHere = wholeBackends();

test('cwm use finds a server and a model file, makes one the default for good, and shows its first receipt', async () => {
  const server = await FakeVllm.start();
  onTestFinished(() => server.stop());
  const home = makeStorage();
  mkdirSync(join(home, '.lmstudio', 'models'), { recursive: true });
  writeFileSync(join(home, '.lmstudio', 'models', 'tiny-Q4_K_M.gguf'), 'GGUF');
  vi.stubEnv('HOME', home);
  vi.stubEnv('OPENAI_BASE_URL', `${server.url}/v1`);
  onTestFinished(() => void vi.unstubAllEnvs());
  const cwm = cliOn(makeStorage());

  const found = await cwm.json('use');
  expect(found).toMatchObject({ defaultEngine: 'embedded' });
  expect(found['servers']).toEqual(
    expect.arrayContaining([expect.objectContaining({ spec: server.url, kind: 'vllm', product: 'vLLM' })]),
  );
  expect(found['files']).toEqual(
    expect.arrayContaining([expect.objectContaining({ name: 'tiny-Q4_K_M', quantisation: 'Q4_K_M', fits: true })]),
  );
  expect((await cwm.run('use')).stdout).toMatch(/vLLM .*\n.*Reuse is measured; .*\n[^]*New sessions use embedded\./);

  const used = await cwm.json('use', server.url);
  expect(used).toMatchObject({
    engine: server.url,
    problem: null,
    receipt: { operation: 'thaw', engine: { model: 'fake-model' } },
  });
  expect(await cwm.json('session', 'list')).toMatchObject({ total: 0 });
  expect(await cwm.json('status')).toMatchObject({ defaultEngine: server.url });
  await cwm.json('stop');
  expect(await cwm.json('session', 'new')).toMatchObject({ engine: server.url });

  expect(await cwm.refusal('use', '999')).toMatchObject({ code: 'CWM-1003' });
  expect(await cwm.refusal('use', 'ftp://x')).toMatchObject({ code: 'CWM-1003' });
  const absent = await cliOn((await startHere()).storage).json('use', 'http://127.0.0.1:9');
  expect(absent).toMatchObject({ engine: 'http://127.0.0.1:9', receipt: null, problem: { code: 'CWM-5001' } });
  // The message that it was tried with is nobody's.
  expect(JSON.stringify(absent)).not.toMatch(/as a draft|"draftKept":true/);
});
