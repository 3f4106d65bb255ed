import { mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { encodeBlock } from '../../../src/embedded/kv/files/blockFile.ts';
import { BlockFolder, newBlockCounters, pieceFile } from '../../../src/embedded/kv/files/blockFolder.ts';
import { KvPack, PackError, type PackIdentity } from '../../../src/embedded/kv/kvPack.ts';
import { KvThreads } from '../../../src/embedded/kv/threads/kvThreads.ts';
import { FakeLlama } from '../support/fakeLlama.ts';
import { openSampleDisk } from '../support/openSampleDisk.ts';
import { rowLayout } from '../support/rowState.ts';
import { scratch } from '../support/smallModel.ts';

const never = new AbortController().signal;
const blockTokens = 32;
const payloadBytes = 32 * blockTokens;
const ids = Array.from({ length: 4 * blockTokens + 1 }, (_, at) => at);
const text = 'the text of a .cwindow file\n';

/** The disk of one machine's engine, with KV of the first blocks of the ids. */
function machine(blocks = 0, salt: string | null = 'own salt') {
  const folder = scratch();
  onTestFinished(() => folder[Symbol.dispose]());
  const {
    cache,
    blocks: files,
    pack,
  } = openSampleDisk({
    folder: folder.path,
    llama: new FakeLlama(),
    blockTokens,
    threads: new KvThreads(1),
  });
  if (!pack) throw new Error('Rows can be checked.');
  const counters = newBlockCounters();
  const shared = { path: files.folder, seal: { key: null }, counters, log: () => undefined };
  const rows = new BlockFolder({ ...shared, kind: 'rows', payloadBytes });
  const positions = new BlockFolder({ ...shared, kind: 'position', payloadBytes: null });
  const hashes = cache.hashes(ids, salt);
  const temporary = join(folder.path, 'temporary');
  const payload = (at: number): Buffer => Buffer.alloc(payloadBytes, at + 1);
  for (const [at, hash] of hashes.slice(0, blocks).entries()) rows.write(hash, payload(at), temporary);
  const path = join(folder.path, 'file.cwindow');
  writeFileSync(path, text);
  const damage = (at: number): void => {
    const file = pieceFile(files.folder, hashes[at] ?? '', 'rows');
    writeFileSync(file, Buffer.alloc(statSync(file).size, 7));
  };
  return { folder: folder.path, cache, pack, rows, positions, hashes, payload, path, damage };
}

/** A file with KV of so many blocks. */
async function written(blocks = 3) {
  const from = machine(blocks);
  const said = await from.pack.write(ids, 'own salt', from.path, never);
  return { ...from, said, offset: text.length };
}

describe('KV behind the text of a file', () => {
  it('comes in under a salt of the other machine, and takes as many bytes as was said before', async () => {
    const from = await written();
    expect(from.said).toEqual(from.pack.measure(ids, 'own salt'));
    expect(statSync(from.path).size).toBe(text.length + from.said.bytes);
    const to = machine();
    const taken = await to.pack.read(ids, 'their salt', from, never);
    expect(taken).toMatchObject({ tokens: 3 * blockTokens, notes: [] });
    expect(
      to.cache
        .hashes(ids, 'their salt')
        .slice(0, 3)
        .map((hash) => to.rows.read(hash)),
    ).toEqual([0, 1, 2].map(to.payload));
    expect(to.cache.reach(to.cache.hashes(ids, 'own salt'), 3)).toBe(0);
  });

  it('is what can be read: a block that turns out to be damaged ends it, and the file has no half of it', async () => {
    const from = machine(3);
    from.damage(2);
    const said = await from.pack.write(ids, 'own salt', from.path, never);
    expect(said.tokens).toBe(2 * blockTokens);
    expect(statSync(from.path).size).toBe(text.length + said.bytes);
    expect(await machine().pack.read(ids, null, { path: from.path, offset: text.length }, never)).toMatchObject({
      tokens: 2 * blockTokens,
      notes: [],
    });
  });

  it('is given up where it changes again and again, or where there is none; the file is as it was', async () => {
    const from = machine(3);
    const read = vi.spyOn(BlockFolder.prototype, 'read').mockReturnValue(null);
    onTestFinished(() => read.mockRestore());
    await expect(from.pack.write(ids, 'own salt', from.path, never)).rejects.toThrow(
      'Its KV changes while it is written.',
    );
    expect(read).toHaveBeenCalledTimes(3);
    await expect(from.pack.write(ids, 'another salt', from.path, never)).rejects.toThrow(PackError);
    expect(readFileSync(from.path, 'utf8')).toBe(text);
  });

  it('is left in the file as far as it is of more tokens than the text has here', async () => {
    const from = await written();
    const taken = await machine().pack.read(ids.slice(0, 2 * blockTokens), null, from, never);
    expect(taken).toMatchObject({
      tokens: 2 * blockTokens,
      notes: ['Pieces of KV that are of other tokens than this text has here were left in the file: 1.'],
    });
  });

  it('is left in the file behind a place where the file is cut', async () => {
    const from = await written();
    truncateSync(from.path, statSync(from.path).size - 10);
    expect(await machine().pack.read(ids, null, from, never)).toMatchObject({
      tokens: 2 * blockTokens,
      notes: ['Damaged pieces of KV were left in the file: 1.'],
    });
  });

  it.each([
    ['has no line of its own', () => Buffer.alloc(300_000, 'x'), 'Behind the text is no KV, or it is damaged.'],
    ['is of a later version of the format', { version: 2 }, 'does not know'],
    ['is of another model', { modelSha256: 'b' }, 'The KV is of another model.'],
    ['is of another llama.cpp', { llamaCpp: 'b1' }, 'The KV is of llama.cpp b1, and this is '],
    ['has blocks of another size', { blockTokens: 16 }, 'The KV has another form'],
  ])('that %s is not used, and the note says so', async (_, change, said) => {
    const from = await written();
    const whole = readFileSync(from.path);
    const end = whole.indexOf('\n', text.length);
    const head = JSON.parse(whole.toString('utf8', text.length, end)) as object;
    const changed =
      typeof change === 'function' ? change() : Buffer.from(`${JSON.stringify({ ...head, ...change })}\n`);
    writeFileSync(from.path, Buffer.concat([Buffer.from(text), changed, whole.subarray(end + 1)]));
    const taken = await machine().pack.read(ids, null, from, never);
    expect(taken).toEqual({ tokens: 0, bytes: 0, notes: [expect.stringContaining(said)] });
  });

  it('of a sliding window is compared with the form that it must have before llama.cpp sees it', async () => {
    const { cache, rows, positions, folder, path } = machine();
    const identity: PackIdentity = {
      modelSha256: 'a',
      llamaCpp: 'b',
      layout: rowLayout,
      windowLayout: rowLayout,
      blockTokens,
      positionContext: null,
    };
    const pack = new KvPack({ identity, cache, rows, positions, runFolder: folder });
    const [name = ''] = cache.hashes(ids, null);
    const { head, body } = encodeBlock(name, Buffer.from('cells at wrong places'), 'position', { key: null });
    const line = (value: object): Buffer => Buffer.from(`${JSON.stringify(value)}\n`);
    const piece = { kind: 'position', block: 0, bytes: head.length + body.length };
    writeFileSync(path, Buffer.concat([line({ format: 'cwm-kv', version: 1, ...identity }), line(piece), head, body]));
    expect(await pack.read(ids, 'salt', { path, offset: 0 }, never)).toEqual({
      tokens: 0,
      bytes: 0,
      notes: ['Damaged pieces of KV were left in the file: 1.'],
    });
  });

  it('is looked for in files alone, never in folders', async () => {
    const { pack, folder } = machine(1);
    const missing = join(folder, 'missing');
    await expect(pack.write(ids, 'own salt', missing, never)).rejects.toThrow(`${missing} cannot be opened.`);
    mkdirSync(join(folder, 'folder'));
    await expect(pack.read(ids, null, { path: join(folder, 'folder'), offset: 0 }, never)).rejects.toThrow(
      'is no file.',
    );
  });
});
