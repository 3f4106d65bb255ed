import { readFileSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { blockNames, cachedBy, EngineProcess, promptIds, saidBy, type Completion } from './support/engineProcess.ts';
import { scratch, smallModel, type Scratch } from './support/smallModel.ts';

describe('the prefix cache of the embedded engine', () => {
  let folder: Scratch;
  let model: string;
  let engine: EngineProcess;

  const restart = async (): Promise<void> => {
    await engine.kill();
    engine = await EngineProcess.start(engine.kvDir, '--model', model);
  };
  /** Makes the live sequence hold something else, so that only files can help. */
  const forgetLive = (): Promise<Completion> => engine.complete(promptIds(3, 1), { max_tokens: 1 });
  const cachedBySource = async (): Promise<{ device: number; disk: number }> => ({
    device: await engine.metric('vllm:prompt_tokens_cached_by_source_total', 'source="device"'),
    disk: await engine.metric('vllm:prompt_tokens_cached_by_source_total', 'source="disk"'),
  });

  beforeAll(async () => {
    folder = scratch();
    model = smallModel(folder.path);
    engine = await EngineProcess.start(`${folder.path}/kv`, '--model', model);
  });
  afterAll(async () => {
    await engine.kill();
    folder[Symbol.dispose]();
  });

  it.each([1, 31, 32, 33, 64, 65, 200])('reuses full blocks of %d tokens and never the last token', async (length) => {
    const prompt = promptIds(length, 100 + length);
    const floor = Math.floor((length - 1) / 32) * 32;
    const cold = await engine.complete(prompt);
    const live = await engine.complete(prompt);
    await forgetLive();
    const fromDisk = await engine.complete(prompt);
    expect([cold, live, fromDisk].map(cachedBy)).toEqual([0, floor, floor]);
    expect(saidBy(live)).toEqual(saidBy(cold));
    expect(saidBy(fromDisk)).toEqual(saidBy(cold));
  });

  it('loses nothing in kill -9: the same blocks, the same tokens, the same bits', async () => {
    const prompt = promptIds(700, 2);
    const before = await engine.complete(prompt, { max_tokens: 32 });
    await restart();
    const after = await engine.complete(prompt, { max_tokens: 32 });
    expect(cachedBy(after)).toBe(672);
    expect(saidBy(after)).toEqual(saidBy(before));
    expect(await cachedBySource()).toEqual({ device: 0, disk: 672 });
  });

  it("tells the tier of each prompt token, and the sources add up to the prompt's tokens", async () => {
    const prompt = promptIds(100, 3);
    const before = await cachedBySource();
    await engine.complete(prompt);
    await engine.complete(prompt);
    await forgetLive();
    await engine.complete(prompt);
    const after = await cachedBySource();
    expect({ device: after.device - before.device, disk: after.disk - before.disk }).toEqual({ device: 96, disk: 96 });
    expect(await engine.metric('vllm:prompt_tokens_by_source_total')).toBe(
      await engine.metric('vllm:prompt_tokens_total'),
    );
  });

  it('S0-61 a second salt, or none, reuses nothing, live or from disk', async () => {
    const prompt = promptIds(200, 4);
    const cached = async (more: object): Promise<number> => cachedBy(await engine.complete(prompt, more));
    expect(await cached({ cache_salt: 'one' })).toBe(0);
    expect(await cached({ cache_salt: 'two' })).toBe(0);
    expect(await cached({})).toBe(0);
    expect(await cached({ cache_salt: 'one' })).toBe(192);
    expect(await cached({ cache_salt: 'two' })).toBe(192);
    expect(await cached({})).toBe(192);
  });

  it('S0-11 two contexts with a common prefix share its block files', async () => {
    const stem = promptIds(320, 5);
    await engine.complete([...stem, ...promptIds(64, 6)]);
    const written = (): Promise<number> => engine.metric('cwm:kv_blocks_written_total');
    const before = await written();
    const branch = await engine.complete([...stem, ...promptIds(64, 7)]);
    expect(cachedBy(branch)).toBe(320);
    expect((await written()) - before).toBe(2);
  });

  it('names its files by the hash chain, and writes those of the prompt only', async () => {
    const prompt = promptIds(96, 8);
    const answer = await engine.complete(prompt, { max_tokens: 40, cache_salt: 'names' });
    const names = (ids: readonly number[]): Promise<boolean[]> =>
      Promise.all(
        blockNames(ids, 'names').map(async (hash) => statSync(await engine.blockFile(hash), { throwIfNoEntry: false })),
      ).then((stats) => stats.map((stat) => stat !== undefined));
    const whole = [...prompt, ...(answer.choices[0]?.token_ids ?? [])];
    expect(await names(whole)).toEqual([true, true, true, false]);
    const sealed = await engine.complete(whole, { max_tokens: 1, cache_salt: 'names' });
    expect(cachedBy(sealed)).toBe(128);
    expect(await names(whole)).toEqual([true, true, true, true]);
  });

  it('answers from the rows on disk, not from others of the same tokens that it happens to hold', async () => {
    const prompt = promptIds(64, 9);
    const answer = await engine.complete(prompt, { max_tokens: 40, cache_salt: 'rows' });
    const whole = [...prompt, ...(answer.choices[0]?.token_ids ?? [])];
    await forgetLive();
    const computedAtOnce = await engine.complete(whole, { cache_salt: 'rows' });
    // Now the live rows of the answer come from the answer, token by token.
    await engine.complete(prompt, { max_tokens: 40, cache_salt: 'rows' });
    expect(saidBy(await engine.complete(whole, { cache_salt: 'rows' }))).toEqual(saidBy(computedAtOnce));
  });

  it('other weights under the same file name share nothing', async () => {
    const prompt = promptIds(100, 10);
    const ours = await engine.complete(prompt);
    const ourFolder = await engine.blockDir();
    const kept = readFileSync(model);
    smallModel(folder.path, 8);
    await restart();
    const theirs = await engine.complete(prompt);
    const theirFolder = await engine.blockDir();
    writeFileSync(`${model}.new`, kept);
    renameSync(`${model}.new`, model);
    await restart();
    expect(theirFolder).not.toBe(ourFolder);
    expect(cachedBy(theirs)).toBe(0);
    expect(saidBy(theirs)).not.toEqual(saidBy(ours));
    expect(cachedBy(await engine.complete(prompt))).toBe(96);
  });

  it('K7 KV of another element type is never reused', async () => {
    const prompt = promptIds(100, 11);
    await engine.complete(prompt);
    await engine.kill();
    engine = await EngineProcess.start(engine.kvDir, '--model', model, '--kv-type', 'q8_0');
    const first = await engine.complete(prompt);
    await forgetLive();
    const second = await engine.complete(prompt);
    await restart();
    expect([first, second, await engine.complete(prompt)].map(cachedBy)).toEqual([0, 96, 96]);
    expect(saidBy(second)).toEqual(saidBy(first));
  });

  describe('with a block file that is not what it should be', () => {
    const damages: readonly (readonly [string, (path: string, other: string) => void])[] = [
      ['is gone', (path) => rmSync(path)],
      ['is empty', (path) => truncateSync(path, 0)],
      ['is cut by one byte', (path) => truncateSync(path, statSync(path).size - 1)],
      ['grew', (path) => writeFileSync(path, Buffer.alloc(1), { flag: 'a' })],
      ['has one bit flipped', (path) => flipBit(path, statSync(path).size - 777)],
      ['has one bit of its head flipped', (path) => flipBit(path, 9)],
      ['is all zeros', (path) => writeFileSync(path, Buffer.alloc(statSync(path).size))],
      ['is a whole block under the wrong name', (path, other) => writeFileSync(path, readFileSync(other))],
    ];

    it.each(damages)(
      'that %s, it answers the same, reuses what comes before, and heals the file',
      async (what, damage) => {
        const prompt = promptIds(250, 200 + damages.findIndex(([name]) => name === what));
        const whole = await engine.complete(prompt);
        const names = blockNames(prompt);
        const path = await engine.blockFile(names[3] ?? '');
        const healthy = readFileSync(path);
        await forgetLive();
        damage(path, await engine.blockFile(names[2] ?? ''));
        const damaged = await engine.complete(prompt);
        expect(cachedBy(damaged)).toBe(96);
        expect(saidBy(damaged)).toEqual(saidBy(whole));
        expect(readFileSync(path).equals(healthy)).toBe(true);
        await forgetLive();
        expect(cachedBy(await engine.complete(prompt))).toBe(224);
      },
    );

    it('swapped with another, neither is believed', async () => {
      const prompt = promptIds(250, 300);
      const whole = await engine.complete(prompt);
      const [, second = '', , fourth = ''] = await Promise.all(
        blockNames(prompt).map((name) => engine.blockFile(name)),
      );
      await forgetLive();
      renameSync(second, `${second}.moved`);
      renameSync(fourth, second);
      renameSync(`${second}.moved`, fourth);
      const damaged = await engine.complete(prompt);
      expect(cachedBy(damaged)).toBe(32);
      expect(saidBy(damaged)).toEqual(saidBy(whole));
      await forgetLive();
      expect(cachedBy(await engine.complete(prompt))).toBe(96);
      await forgetLive();
      expect(cachedBy(await engine.complete(prompt))).toBe(224);
    });
  });
});

function flipBit(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 4;
  writeFileSync(path, bytes);
}
