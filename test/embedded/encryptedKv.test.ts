import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  blockNames,
  cachedBy,
  EngineProcess,
  ended,
  firstMessage,
  forkEngine,
  promptIds,
  saidBy,
} from './support/engineProcess.ts';
import { writeOddModel } from './support/oddModel.ts';
import { scratch, smallModel, type Scratch } from './support/smallModel.ts';

const keyOf = (digit: string): NodeJS.ProcessEnv => ({ CWM_KV_KEY: digit.repeat(64) });
const namespaces = (kvDir: string): string[] => readdirSync(kvDir).filter((name) => /^[0-9a-f]{32}$/.test(name));

describe('S0-61 KV of an encrypted store', () => {
  let folder: Scratch;
  let engine: EngineProcess;
  beforeEach(() => (folder = scratch()));
  afterEach(async () => {
    await engine.kill();
    folder[Symbol.dispose]();
  });

  const start = async (env: NodeJS.ProcessEnv, model: string): Promise<void> => {
    engine = await EngineProcess.startWith(env, join(folder.path, 'kv'), '--model', model);
  };

  it('is read again under its key, bit for bit, and a flipped bit is a miss', async () => {
    const model = smallModel(folder.path);
    await start(keyOf('a'), model);
    const prompt = promptIds(300, 1);
    const before = await engine.complete(prompt);
    await engine.kill();
    await start(keyOf('a'), model);
    const after = await engine.complete(prompt);
    expect(cachedBy(after)).toBe(288);
    expect(saidBy(after)).toEqual(saidBy(before));
    const path = await engine.blockFile(blockNames(prompt)[3] ?? '');
    const bytes = readFileSync(path);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    await engine.complete(promptIds(3, 2));
    writeFileSync(path, bytes);
    const healed = await engine.complete(prompt);
    expect(cachedBy(healed)).toBe(96);
    expect(saidBy(healed)).toEqual(saidBy(before));
  });

  it('has no row of KV in clear in any file, nor the size of another', async () => {
    const model = smallModel(folder.path);
    await start({}, model);
    const prompt = promptIds(100, 1);
    await engine.complete(prompt);
    const clear = [...(await engine.blockFiles()).values()];
    const rows = clear.map((bytes) => bytes.subarray(200, 232));
    await engine.kill();
    await start(keyOf('a'), model);
    await engine.complete(prompt);
    const sealed = [...(await engine.blockFiles()).values()];
    expect(sealed.map(({ length }) => length)).toEqual(clear.map(({ length }) => length));
    const everything = readdirSync(engine.kvDir, { recursive: true, encoding: 'utf8' })
      .map((name) => join(engine.kvDir, name))
      .filter((path) => statSync(path).isFile())
      .map((path) => readFileSync(path));
    expect(rows.some((row) => everything.some((bytes) => bytes.includes(row)))).toBe(false);
  });

  it('that another key encrypted, or none, is deleted and computed again', async () => {
    const model = smallModel(folder.path);
    const prompt = promptIds(100, 1);
    for (const env of [{}, keyOf('a'), keyOf('b'), {}]) {
      await start(env, model);
      expect(cachedBy(await engine.complete(prompt))).toBe(0);
      await expect.poll(() => namespaces(engine.kvDir)).toHaveLength(1);
      await engine.kill();
    }
  });

  it('holds for the states of a model that cannot be cut, too', async () => {
    const model = writeOddModel(`${folder.path}/odd.gguf`, 'lfm2');
    await start(keyOf('a'), model);
    const prompt = promptIds(300, 1);
    const before = await engine.complete(prompt);
    await engine.kill();
    await start(keyOf('a'), model);
    const after = await engine.complete(prompt);
    expect(cachedBy(after)).toBe(288);
    expect(saidBy(after)).toEqual(saidBy(before));
  });

  it('does not start with a malformed key', async () => {
    await start({}, smallModel(folder.path));
    const child = forkEngine(['--kv-dir', join(folder.path, 'other')], { CWM_KV_KEY: 'short' });
    expect(await firstMessage(child)).toMatchObject({
      error: { message: 'The key for KV in CWM_KV_KEY is not 64 hex digits.' },
    });
    await ended(child, () => child.kill('SIGKILL'));
  });
});
