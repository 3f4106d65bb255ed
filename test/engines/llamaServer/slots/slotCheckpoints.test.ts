import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { thinCheckpoints, worthKeeping } from '../../../../src/engines/llamaServer/slots/slotCheckpoints.ts';
import { fc } from '../../../support/fc.ts';
import { contextOf, makeRig, never, someIds } from '../rig.ts';
import { blockBytes } from '../../../fakes/fakeModel.ts';
import { appendix, type FakeCheckpoint } from '../../../fakes/fakeSlots.ts';

const folder = mkdtempSync(join(tmpdir(), 'cwm-slots-'));
const path = join(folder, 'some.slot');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const checkpoint = fc.record({ tokens: fc.nat({ max: 5000 }), bytes: fc.uint8Array({ maxLength: 40 }) });
const sorted = (some: readonly FakeCheckpoint[]): FakeCheckpoint[] => some.toSorted((a, b) => a.tokens - b.tokens);

describe('checkpoints of a context behind the state in a slot file', () => {
  test('that are worth their room are the newest and fewer and fewer of the earlier ones', () => {
    const each = Array.from({ length: 200 }, (_, at) => 5 * at);
    expect(worthKeeping(each, 1000).map((at) => 1000 - (each[at] ?? 0))).toEqual([
      1000, 640, 320, 160, 80, 40, 20, 10, 5,
    ]);
    expect(worthKeeping([], 10)).toEqual([]);
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 5000 }), { minLength: 1 }), (given) => {
        const tokens = given.toSorted((a, b) => a - b);
        const end = (tokens.at(-1) ?? 0) + 1;
        const kept = worthKeeping(tokens, end).map((at) => end - (tokens[at] ?? 0));
        // Going back to any of those that went computes at most twice as many tokens.
        for (const distance of tokens.map((count) => end - count)) {
          const next = kept.findLast((other) => other >= distance) ?? Infinity;
          expect(next).toBeLessThanOrEqual(2 * distance);
        }
      }),
    );
  });

  test('of a real context of Gemma 3: aider goes back to its token 608, and finds the one before it', () => {
    const tokens = [144, 287, 309, 586, 631, 844];
    expect(worthKeeping(tokens, 859).map((at) => tokens[at])).toContain(586);
  });

  test('go from the file but for those, and every other byte stays', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(checkpoint, { maxLength: 12 }), fc.uint8Array({ maxLength: 60 }), async (some, kv) => {
        // What begins like a list of checkpoints is not always one.
        const state = Buffer.concat([Buffer.from('a state'), appendix([]).subarray(0, 8), kv]);
        const all = sorted(some);
        writeFileSync(path, Buffer.concat([state, all.length > 0 ? appendix(all) : Buffer.alloc(0)]));
        const size = await thinCheckpoints(path, 5001);
        const kept = worthKeeping(
          all.map(({ tokens }) => tokens),
          5001,
        ).flatMap((at) => all[at] ?? []);
        const expected = Buffer.concat([state, kept.length > 0 ? appendix(kept) : Buffer.alloc(0)]);
        expect(readFileSync(path).equals(expected)).toBe(true);
        expect(size).toBe(expected.length);
      }),
    );
  });

  test('of another version, or cut off, stay as they are', async () => {
    const whole = Buffer.concat([
      Buffer.from('a state'),
      appendix([1, 2, 3].map((tokens) => ({ tokens, bytes: Buffer.from('kv') }))),
    ]);
    const other = Buffer.from(whole);
    other.writeUInt32LE(2, 7 + 4);
    for (const bytes of [other, whole.subarray(0, -1), Buffer.from('SCKP'), Buffer.alloc(0)]) {
      writeFileSync(path, bytes);
      expect(await thinCheckpoints(path, 1000)).toBe(bytes.length);
      expect(readFileSync(path).equals(bytes)).toBe(true);
    }
  });

  /** Has something else done in the place of each write, until the end of the test. */
  async function instead(
    write: (real: FileHandle['write'], count: number) => FileHandle['write'],
  ): Promise<() => number> {
    await using file = await open(path, 'w');
    const prototype = Object.getPrototypeOf(file) as FileHandle;
    const real = Reflect.get(prototype, 'write');
    let count = 0;
    const spy = vi.spyOn(prototype, 'write').mockImplementation(function (this: FileHandle, ...given: unknown[]) {
      return (write(real, count++) as (...all: unknown[]) => never).apply(this, given);
    });
    onTestFinished(() => spy.mockRestore());
    return () => count;
  }

  const many = Array.from({ length: 20 }, (_, at) => ({ tokens: 50 * at, bytes: Buffer.from(`kv ${at}`) }));

  test('are as many as the file says, or the file is gone, whichever write the disk fails', async () => {
    let failing = Infinity;
    let atFirst = 0;
    const count = await instead((real, at) =>
      at - atFirst === failing ? () => Promise.reject(new Error('EIO')) : real,
    );
    writeFileSync(path, appendix(many));
    expect(await thinCheckpoints(path, 1000)).toBeLessThan(appendix(many).length);
    const writes = count();
    expect(writes).toBeGreaterThan(1);
    for (failing = 0; failing < writes; failing++) {
      writeFileSync(path, appendix(many));
      atFirst = count();
      expect(await thinCheckpoints(path, 1000)).toBeNull();
      expect(existsSync(path)).toBe(false);
    }
  });

  test('are whole where the disk takes a few bytes at a time', async () => {
    const short = (real: FileHandle['write']) =>
      function (this: FileHandle, bytes: Uint8Array, offset: number, length: number, position: number) {
        const write = real as (...all: readonly unknown[]) => unknown;
        return write.call(this, bytes, offset, Math.min(3, length), position);
      } as FileHandle['write'];
    await instead(short);
    const state = Buffer.from('a state');
    writeFileSync(path, Buffer.concat([state, appendix(many)]));
    await thinCheckpoints(path, 1000);
    const kept = worthKeeping(
      many.map(({ tokens }) => tokens),
      1000,
    ).flatMap((at) => many[at] ?? []);
    expect(readFileSync(path).equals(Buffer.concat([state, appendix(kept)]))).toBe(true);
  });

  test('are gone before the file is recorded, and the server restores what is left', async () => {
    const rig = await makeRig({ fake: { faults: { contextCheckpoints: 20 } } });
    const context = contextOf(someIds(200));
    const { handle } = await rig.engine.persist(context, never);
    const located = await rig.engine.locate(context, never);
    const sizeBytes = (located.reachable && located.blocks[0]?.stat?.sizeBytes) || 0;
    expect(handle).toMatch(new RegExp(`:${sizeBytes}$`));
    expect(sizeBytes).toBeLessThan(200 * (4 + blockBytes) + 9 * 1100);
    expect((await rig.engine.restore({ ...context, handle }, never)).outcome).toBe('restored');
    expect((await rig.engine.measure(context, never)).reuse.cachedTokens).toBe(199);
  });
});
