import { mkdtemp, open, readdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { LlamaServerEngine } from '../../../src/engines/llamaServer/llamaServerEngine.ts';
import type { Receipt } from '../../../src/protocol/schemas/receipt.ts';
import { coreOver, type CoreOver } from '../llamaServer/coreOver.ts';
import type { ModelServer } from './guardedServer.ts';
import { llamaModel } from './llamaModel.ts';
import { startLlamaServer } from './llamaServer.ts';

const never = new AbortController().signal;
let modelPath: string;
let otherWeights: string;
let slotDir: string;
let server: ModelServer;
let engine: LlamaServerEngine;
let core: CoreOver;

beforeAll(async () => {
  modelPath = await llamaModel({ signal: never });
  otherWeights = await llamaModel({ seed: 4242, signal: never });
});
beforeEach(async () => {
  slotDir = await mkdtemp(join(tmpdir(), 'cwm-live-'));
  server = await startLlamaServer({ modelPath, slotDir, servedName: 'tiny' }, never);
});
afterEach(async () => {
  await core.dispose();
  await engine.close();
  await server.stop();
  await rm(slotDir, { recursive: true, force: true });
});

async function useCore(folder: 'reachable' | 'out of sight'): Promise<void> {
  const connect = async () => ({ url: server.url });
  engine = new LlamaServerEngine({ spec: 'http://live', connect, ...(folder === 'reachable' ? { slotDir } : {}) });
  core = await coreOver(engine);
}

/** `kill -9`, and the same command line again. */
async function restart(model = modelPath): Promise<void> {
  await server.kill();
  server = await startLlamaServer({ modelPath: model, slotDir, servedName: 'tiny' }, never);
}

async function onlyFile(): Promise<string> {
  const [name] = await readdir(slotDir);
  return join(slotDir, name ?? '');
}

/** Of the server, whichever way it goes on. */
const isAlive = async (): Promise<boolean> =>
  fetch(`${server.url}/health`).then(
    (response) => response.ok,
    () => false,
  );

async function overwrite(file: string, at: number, bytes: Uint8Array): Promise<void> {
  await using handle = await open(file, 'r+');
  await handle.write(bytes, 0, bytes.length, at);
}

/** The bit that counts most in a half-precision number, so that the number is another one for certain. */
async function flipOneBit(file: string): Promise<void> {
  // In the middle of a layer's KV: well behind its head, well before the next one's.
  const at = 8_001 + 2 * Math.floor((await stat(file)).size / 4);
  const byte = (await readFile(file))[at] ?? 0;
  await overwrite(file, at, Uint8Array.of(byte ^ 0x40));
}

/** What the model says next after a thaw that found nothing wrong. */
async function undamagedAnswer(): Promise<string> {
  return (await core.answer((await core.thaw()).session)).text;
}

describe('a real llama-server, killed and started anew', () => {
  test('freeze, kill -9, restart, thaw: proven from disk, all but the last token, and the same answer', async () => {
    await useCore('reachable');
    const frozen = await core.keep();
    expect(frozen).toMatchObject({ verdict: 'proven', tier: 'disk', content: { canary: 'agreed', canaryNoise: 0 } });
    expect(frozen.kvBytesWritten).toBe((await stat(await onlyFile())).size);
    const before = await undamagedAnswer();

    await restart();
    const thawed = await core.thaw();
    expect(thawed).toMatchObject({
      verdict: 'proven',
      tier: 'disk',
      cachedTokensFrom: 'timings',
      content: { checksums: 'agreed', canary: 'agreed', canaryDifference: 0, blocksHashed: 0 },
    });
    expect(thawed.cachedTokens).toBe((thawed.promptTokens ?? 0) - 1);
    expect((await core.answer(thawed.session)).text).toBe(before);
  });

  test('a conversation continues in the slot where the thaw left it', async () => {
    await useCore('reachable');
    const { tokens } = await core.keep();
    await restart();
    const { session } = await core.thaw();
    const first = await core.answer(session);
    const second = await core.answer(session);
    // The template renders the end of the answer in its own way.
    expect(first.cachedTokens).toBeGreaterThan(tokens - 20);
    expect(second.cachedTokens).toBeGreaterThan(first.cachedTokens ?? 0);
  });

  test('files as context, primed and frozen, are a prefix of what is said next', async () => {
    await useCore('reachable');
    const { cwm } = core;
    await cwm.createSession({ id: 'p' });
    const primed = await cwm.prime({ session: 'p', paths: ['notes.txt'] }, never);
    await cwm.freeze({ session: 'p', window: 'files' }, never);
    await restart();
    const { session, verdict } = await cwm.thaw({ window: 'files' }, never);
    expect(verdict).toBe('proven');
    const sent = await cwm.send({ session, text: 'What is in them?', maxTokens: 8 }, never);
    expect(sent.prefixBreak).toBeNull();
    expect(sent.cachedTokens).toBe(primed.promptTokens);
  });

  test('without its slot file the context is rebuilt, and saved again', async () => {
    await useCore('reachable');
    await core.keep();
    await rm(await onlyFile());
    await restart();
    expect(await core.thaw()).toMatchObject({ verdict: 'rebuilt', cachedTokens: 0 });
    await restart();
    expect(await core.thaw()).toMatchObject({ verdict: 'proven', tier: 'disk' });
  });
});

type Damage = readonly [name: string, spoil: (file: string) => Promise<void>];

const damages: readonly Damage[] = [
  ['one byte short, which would end the server', async (file) => truncate(file, (await stat(file)).size - 1)],
  ['cut to half', async (file) => truncate(file, Math.floor((await stat(file)).size / 2))],
  ['empty', (file) => truncate(file, 0)],
  ['one bit flipped', flipOneBit],
  ['zeros', async (file) => overwrite(file, 2_000, new Uint8Array((await stat(file)).size - 2_000))],
  ['one byte too long', async (file) => writeFile(file, Buffer.concat([await readFile(file), Buffer.from('x')]))],
];

describe('damage of a slot file', () => {
  test.each(damages)('%s: found before the restore, deleted, rebuilt, and answered right', async (_, spoil) => {
    await useCore('reachable');
    await core.keep();
    const before = await undamagedAnswer();
    await restart();
    await spoil(await onlyFile());
    const thawed = await core.thaw();
    expect(thawed).toMatchObject({
      verdict: 'rebuilt',
      repair: 'blocks-deleted',
      content: { checksums: 'disagreed', blocksDamaged: 1 },
    });
    expect((await core.answer(thawed.session)).text).toBe(before);
    expect(await isAlive()).toBe(true);
    await restart();
    expect((await core.thaw()).verdict).toBe('proven');
  });

  test('one bit flipped where nobody can look: the canary finds it, and nothing is answered from it', async () => {
    await useCore('out of sight');
    await core.keep();
    const before = await undamagedAnswer();
    await restart();
    await flipOneBit(await onlyFile());
    const thawed = await core.thaw();
    expect(thawed).toMatchObject({ verdict: 'damaged', repair: 'salt-advanced', content: { canary: 'disagreed' } });
    expect(thawed.cachedTokens).toBe(0);
    expect((await core.answer(thawed.session)).text).toBe(before);
  });

  test('no slot file at all by its first bytes: the server refuses it, the canary is asked, and it is rebuilt', async () => {
    await useCore('out of sight');
    await core.keep();
    const before = await undamagedAnswer();
    await restart();
    await overwrite(await onlyFile(), 0, new Uint8Array(8));
    const thawed = await core.thaw();
    expect(thawed.verdict).toBe('rebuilt');
    expect(thawed.notes.join(' ')).toContain('Unable to restore slot');
    expect(thawed.content.canaryDifference).not.toBeNull();
    expect((await core.answer(thawed.session)).text).toBe(before);
  });

  test('one byte short where nobody can look: it ends the server once, not twice', async () => {
    await useCore('out of sight');
    await core.keep();
    await restart();
    const file = await onlyFile();
    await truncate(file, (await stat(file)).size - 1);
    // The conversation opens all the same.
    expect(await core.thaw()).toMatchObject({ verdict: 'text-only', cachedTokens: null });
    await server.ended;
    await restart();
    expect((await core.thaw()).verdict).toBe('rebuilt');
    expect(await isAlive()).toBe(true);
    await restart();
    expect((await core.thaw()).verdict).toBe('reused');
  });

  test.each(['reachable', 'out of sight'] as const)(
    'two files that changed places (%s): no word of the other conversation, and never proven',
    async (folder) => {
      await useCore(folder);
      await core.keep();
      const first = await onlyFile();
      await core.cwm.send({ session: 's', text: 'And another thing.', maxTokens: 8 }, never);
      await core.cwm.freeze({ session: 's', window: 'other', checkpoint: true }, never);
      const second = join(slotDir, (await readdir(slotDir)).find((name) => !first.endsWith(name)) ?? '');
      await rename(first, `${first}.swap`);
      await rename(second, first);
      await rename(`${first}.swap`, second);
      const verdicts: Receipt['verdict'][] = [];
      for (const window of ['w', 'other']) {
        await restart();
        verdicts.push((await core.cwm.thaw({ window }, never)).verdict);
      }
      expect(verdicts).toEqual(['rebuilt', 'rebuilt']);
    },
  );

  test('other weights under the same name and of the same shape: damaged, then rebuilt with those', async () => {
    await useCore('reachable');
    await core.keep();
    await restart(otherWeights);
    const thawed = await core.thaw();
    expect(thawed).toMatchObject({ verdict: 'damaged', repair: 'salt-advanced', content: { canary: 'disagreed' } });
    expect(thawed.notes.join(' ')).toContain('other weights are served');
    await restart(otherWeights);
    expect((await core.thaw()).verdict).toBe('proven');
  });
});
