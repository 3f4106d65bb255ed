import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { VllmEngine } from '../../src/engines/vllm/vllmEngine.ts';
import type { Capabilities, CapabilityName } from '../../src/protocol/capabilities.ts';
import { vllmModel } from './vllmModel.ts';
import { startVllm, type VllmStart } from './vllmServer.ts';

const timeoutMs = 300_000;

/** What a new client of a server that somebody has used before finds. */
async function probeReal(start: Partial<VllmStart> & Pick<VllmStart, 'connector'>): Promise<Capabilities> {
  const interrupted = new AbortController();
  const { signal } = interrupted;
  onTestFinished(() => interrupted.abort());
  const kvDir = await mkdtemp(join(tmpdir(), 'cwm-live-probe-'));
  onTestFinished(() => rm(kvDir, { recursive: true, force: true }));
  const server = await startVllm({ model: await vllmModel('tiny', { signal }), kvDir, ...start }, signal);
  onTestFinished(() => server.stop());
  const engine = (): VllmEngine => {
    const made = new VllmEngine({ spec: server.url, connect: async () => ({ url: server.url }) });
    onTestFinished(() => made.close());
    return made;
  };
  await engine().probe(signal);
  return engine().probe(signal);
}

const itemOf = ({ items }: Capabilities, name: CapabilityName) => items.find((item) => item.name === name);

test('ExampleConnector: that it ignores the cache salt is found and said', { timeout: timeoutMs }, async () => {
  const found = await probeReal({ connector: 'example' });
  expect(itemOf(found, 'reuse')?.state).toBe('yes');
  expect(itemOf(found, 'isolation')).toMatchObject({
    state: 'no',
    found: expect.stringContaining('The connector ignores the cache salt'),
    remedy: expect.stringContaining('OffloadingConnector'),
  });
});

test('without --enable-prompt-tokens-details and without a tier, both are said', { timeout: timeoutMs }, async () => {
  const found = await probeReal({ connector: 'none', promptTokensDetails: false });
  expect(itemOf(found, 'reuse-told')).toMatchObject({
    state: 'no',
    remedy: expect.stringContaining('--enable-prompt-tokens-details'),
  });
  // The counters of a server that nobody else uses tell it all the same.
  expect(itemOf(found, 'reuse')?.state).toBe('yes');
  expect(itemOf(found, 'isolation')?.state).toBe('yes');
  expect(itemOf(found, 'persistence')?.state).toBe('no');
});
