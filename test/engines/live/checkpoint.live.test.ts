import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, onTestFinished, test } from 'vitest';

import { realBackends } from '../../client/support/realBackends.ts';
import { noteFigure } from './figures.ts';
import { blockFiles } from './fsTier.ts';
import { gemmaModel } from './gemmaModel.ts';
import { llamaModel } from './llamaModel.ts';
import { startLlamaServer } from './llamaServer.ts';
import { blockTokens, prose, seen } from './liveProduct.ts';
import { vllmModel } from './vllmModel.ts';
import { startVllm } from './vllmServer.ts';

const never = new AbortController().signal;
const turns = 3;
const project = 'file:///live';
const { makeStorage, client } = realBackends();

interface Cost {
  readonly turnMs: number;
  readonly ms: number;
  /** In the receipt. */
  readonly bytes: number;
  /** Of the context that the checkpoint keeps. */
  readonly tokens: number;
  /** Since the checkpoint before, by the turn and by the checkpoint; 0 where blocks have no files of their own. */
  readonly blocks: { readonly ofTurn: number; readonly ofCheckpoint: number; readonly expected: number };
}

/** What the rolling checkpoint of one more turn costs, beside the turn; `countBlocks` counts the files of blocks. */
async function measure(
  name: string,
  engine: string,
  {
    countBlocks = async () => 0,
    text = prose('a long one', 800),
    next = (at) => `And part ${at}?`,
  }: { countBlocks?: () => Promise<number>; text?: string; next?: (at: number) => string } = {},
): Promise<Cost[]> {
  const cwm = client(makeStorage());
  const session = 's';
  await cwm.call('createSession', { id: session, engine, project });
  await cwm.call('setCurrentSession', { project, session });
  await cwm.call('send', { session, text, maxTokens: 64 });
  const first = await cwm.call('closeProject', { project });
  expect(first.receipt?.verdict).toBe('proven');
  const costs: Cost[] = [];
  let before = first.receipt?.tokens ?? 0;
  for (let at = 0; at < turns; at++) {
    const atStart = await countBlocks();
    const sent = await cwm.call('send', { session, text: next(at), maxTokens: 128 });
    const afterTurn = await countBlocks();
    const { receipt } = await cwm.call('closeProject', { project });
    const atEnd = await countBlocks();
    expect(receipt?.verdict).toBe('proven');
    const tokens = receipt?.tokens ?? 0;
    const expected = Math.floor(tokens / blockTokens) - Math.floor(before / blockTokens);
    const blocks = { ofTurn: afterTurn - atStart, ofCheckpoint: atEnd - afterTurn, expected };
    const ms = receipt?.ms ?? Number.NaN;
    const bytes = receipt?.kvBytesWritten ?? Number.NaN;
    costs.push({ turnMs: sent.ms, ms, bytes, tokens, blocks });
    before = tokens;
  }
  const [cost] = costs.toSorted((a, b) => a.ms / a.turnMs - b.ms / b.turnMs);
  if (!cost) return costs;
  const share = Math.round((1000 * cost.ms) / cost.turnMs) / 10;
  noteFigure(
    `Checkpoint of one more turn at ${cost.tokens} tokens, ${name}: ${Math.round(cost.ms)} ms beside a turn of ${Math.round(cost.turnMs)} ms (${share} %), ${cost.bytes} bytes of KV written, files of blocks: ${cost.blocks.ofTurn} with the turn and ${cost.blocks.ofCheckpoint} with the checkpoint, ${cost.blocks.expected} new blocks; the best of ${turns}; all: ${JSON.stringify(costs)}`,
  );
  return costs;
}

test('S0-16 a checkpoint of one more turn on a real llama-server writes its slot file again, and is proven', async () => {
  const slotDir = await mkdtemp(join(tmpdir(), 'cwm-live-'));
  onTestFinished(() => rm(slotDir, { recursive: true, force: true }));
  const start = { modelPath: await llamaModel({ signal: never }), slotDir, servedName: 'tiny', slots: 1 };
  const server = await startLlamaServer(start, never);
  onTestFinished(() => server.stop());
  await measure('llama-server, a tiny model', `${server.url}#slots=${encodeURI(slotDir)}`);
});

test('S0-16 a checkpoint of one more turn on a real vLLM writes no block but the new ones to its tier, and is proven', async () => {
  const kvDir = await mkdtemp(join(tmpdir(), 'cwm-live-'));
  onTestFinished(() => rm(kvDir, { recursive: true, force: true }));
  const model = await vllmModel('mid', { signal: never });
  const server = await startVllm({ model, connector: 'tiered', kvDir }, never);
  onTestFinished(() => server.stop());
  const countBlocks = async (): Promise<number> => (await blockFiles(kvDir)).size;
  const costs = await measure('vLLM with 12 layers', seen(server.url, kvDir), { countBlocks });
  const sum = (count: (blocks: Cost['blocks']) => number): number =>
    costs.reduce((total, { blocks }) => total + count(blocks), 0);
  // A file may come a moment late, and then counts with the next turn.
  expect(sum(({ ofTurn, ofCheckpoint }) => ofTurn + ofCheckpoint)).toBeLessThanOrEqual(sum(({ expected }) => expected));
  expect(sum(({ ofCheckpoint }) => ofCheckpoint)).toBeGreaterThan(0);
});

test('S0-16 a checkpoint of one more turn on a real llama-server with Gemma, at more than 2,000 tokens of text that means something', async () => {
  const slotDir = await mkdtemp(join(tmpdir(), 'cwm-live-'));
  onTestFinished(() => rm(slotDir, { recursive: true, force: true }));
  const start = { modelPath: gemmaModel(), slotDir, servedName: 'gemma', contextTokens: 8192, slots: 1 };
  const server = await startLlamaServer(start, never);
  onTestFinished(() => server.stop());
  const page = await readFile(join(import.meta.dirname, '../../../docs/architecture.md'), 'utf8');
  const costs = await measure('llama-server with Gemma 3 270M', `${server.url}#slots=${encodeURI(slotDir)}`, {
    text: page.slice(0, 9000),
    next: (at) => `And what does this say?\n\n${page.slice(9000 + at * 1200, 10_200 + at * 1200)}`,
  });
  for (const { tokens } of costs) expect(tokens).toBeGreaterThan(2000);
});
