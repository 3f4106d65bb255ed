import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, onTestFinished, test } from 'vitest';

import { realBackends } from '../../client/support/realBackends.ts';
import { noteFigure } from './figures.ts';
import { llamaModel } from './llamaModel.ts';
import { startLlamaServer } from './llamaServer.ts';
import { prose } from './liveProduct.ts';

const never = new AbortController().signal;
const turns = 3;
const project = 'file:///live';
const { makeStorage, client } = realBackends();

/** What the rolling checkpoint of one more turn costs, beside the turn. */
async function measure(name: string, engine: string): Promise<void> {
  const cwm = client(makeStorage());
  const session = 's';
  await cwm.call('createSession', { id: session, engine, project });
  await cwm.call('setCurrentSession', { project, session });
  await cwm.call('send', { session, text: prose('a long one', 800), maxTokens: 64 });
  const first = await cwm.call('closeProject', { project });
  expect(first.receipt?.verdict).toBe('proven');
  const costs: { readonly turnMs: number; readonly ms: number; readonly bytes: number }[] = [];
  let tokens = 0;
  for (let at = 0; at < turns; at++) {
    const sent = await cwm.call('send', { session, text: `And part ${at}?`, maxTokens: 128 });
    const { receipt } = await cwm.call('closeProject', { project });
    expect(receipt?.verdict).toBe('proven');
    tokens = receipt?.tokens ?? 0;
    costs.push({ turnMs: sent.ms, ms: receipt?.ms ?? Number.NaN, bytes: receipt?.kvBytesWritten ?? Number.NaN });
  }
  const [cost] = costs.sort((a, b) => a.ms / a.turnMs - b.ms / b.turnMs);
  if (!cost) return;
  const share = Math.round((1000 * cost.ms) / cost.turnMs) / 10;
  noteFigure(
    `Checkpoint of one more turn at ${tokens} tokens, ${name}: ${Math.round(cost.ms)} ms beside a turn of ${Math.round(cost.turnMs)} ms (${share} %), ${cost.bytes} bytes of KV written; the best of ${turns}`,
  );
}

test('S0-16 a checkpoint of one more turn on a real llama-server writes its slot file again, and is proven', async () => {
  const slotDir = await mkdtemp(join(tmpdir(), 'cwm-live-'));
  onTestFinished(() => rm(slotDir, { recursive: true, force: true }));
  const start = { modelPath: await llamaModel({ signal: never }), slotDir, servedName: 'tiny', slots: 1 };
  const server = await startLlamaServer(start, never);
  onTestFinished(() => server.stop());
  await measure('llama-server, a tiny model', `${server.url}#slots=${encodeURI(slotDir)}`);
});
