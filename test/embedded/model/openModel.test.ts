import type fs from 'node:fs';
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { openModel } from '../../../src/embedded/model/openModel.ts';
import { defaultNoiseSha256, writeNoiseModel } from '../../../src/embedded/noiseModel/noiseModelFile.ts';
import { scratch, smallModel, smallShape } from '../support/smallModel.ts';

/** The next write to a file fails with this. */
const { failure } = vi.hoisted(() => ({ failure: { next: null as Error | null } }));
vi.mock('node:fs', async (original) => {
  const own = await original<typeof fs>();
  return {
    ...own,
    writeSync: (...args: Parameters<typeof own.writeSync>): number => {
      const { next } = failure;
      failure.next = null;
      if (next) throw next;
      return own.writeSync(...args);
    },
  };
});

describe('the generated model', () => {
  it('is made once, then used as it is', async () => {
    using folder = scratch();
    const first = await openModel(null, folder.path, () => {});
    const madeMs = statSync(first.path).mtimeMs;
    const second = await openModel(null, folder.path, () => {});
    expect([first.sha256, second.sha256]).toEqual([defaultNoiseSha256, defaultNoiseSha256]);
    expect(second.path).toBe(first.path);
    expect(statSync(second.path).mtimeMs).toBe(madeMs);
  });

  it('EC-050 is made again, and the log says so, when its file was damaged', async () => {
    using folder = scratch();
    const { path } = await openModel(null, folder.path, () => {});
    const damaged = Buffer.alloc(statSync(path).size, 1);
    writeFileSync(path, damaged);
    const said: string[] = [];
    const opened = await openModel(null, folder.path, (message) => said.push(message));
    expect(opened.sha256).toBe(defaultNoiseSha256);
    expect(opened.isUnchanged()).toBe(true);
    expect(said).toEqual(['The generated model was damaged; it is made again.']);
  });

  it.each([
    ['StorageFull', 'ENOSPC'],
    ['WriteFailed', 'EIO'],
  ])('EC-052 ends with %s and leaves no part of a file where a write ends with %s', async (name, code) => {
    using folder = scratch();
    failure.next = Object.assign(new Error(code), { code });
    await expect(openModel(null, folder.path, () => {})).rejects.toMatchObject({ name });
    expect(readdirSync(join(folder.path, 'models'))).toEqual([]);
  });

  it('ends with WriteFailed where its folder cannot be made', () => {
    using folder = scratch();
    const path = join(folder.path, 'a file', 'model.gguf');
    writeFileSync(dirname(path), '');
    expect(() => writeNoiseModel(path, smallShape)).toThrow(expect.objectContaining({ name: 'WriteFailed' }));
  });
});

describe('a model of the user', () => {
  it('is named by its weights, and is changed as soon as its file is another one', async () => {
    using folder = scratch();
    const path = smallModel(folder.path);
    const kvDir = join(folder.path, 'kv');
    mkdirSync(kvDir);
    const opened = await openModel(path, kvDir, () => {});
    expect(opened.isUnchanged()).toBe(true);
    expect(opened.sha256).toMatch(/^[0-9a-f]{64}$/);
    smallModel(folder.path, smallShape.seed + 1);
    expect(opened.isUnchanged()).toBe(false);
    expect((await openModel(path, kvDir, () => {})).sha256).not.toBe(opened.sha256);
    expect(existsSync(join(kvDir, 'models'))).toBe(false);
  });
});
