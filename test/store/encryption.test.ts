import { createSecretKey, randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { encryptedFiles } from '../../src/store/encryption/encryptedFiles.ts';
import { damagedMark, openFrames, sealFrame } from '../../src/store/encryption/frames.ts';
import type { FileStore } from '../../src/store/fileStore.ts';
import { diskFiles } from '../../src/store/disk/files.ts';
import { aMessage, aReceipt, lineageId, messageId, sessionId, someIds, windowName, windowsQuery } from './builders.ts';
import { faultKinds } from './crashEndings.ts';
import { FaultyFiles } from './faultyFiles.ts';
import { MemoryFiles } from './memoryFiles.ts';
import { fill, operations } from './operations.ts';
import { openTestStore, repair, temporaryDirectory } from './testStore.ts';
import { fc } from '../support/fc.ts';
import { isSampled } from '../support/nightly.ts';

const signal = new AbortController().signal;
const secret = 'the plums are ripe on the ninth';
const newKey = () => createSecretKey(randomBytes(32));
const problemsOf = async (store: FileStore): Promise<string[]> =>
  (await store.check.verify(signal)).flatMap(({ problems }) => problems);

describe('S0-61 frames', () => {
  const key = newKey();

  it('give back what was written, and tell each bit that was flipped', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 5 }),
        fc.nat(),
        (parts, at) => {
          const raw = Buffer.concat(parts.map((part) => sealFrame(key, part)));
          const plain = Buffer.concat(parts);
          expect(openFrames(key, raw).plain).toEqual(plain);
          const bit = at % (raw.length * 8);
          raw[bit >> 3]! ^= 1 << (bit & 7);
          expect(openFrames(key, raw).plain).not.toEqual(plain);
        },
      ),
    );
  });

  it('that a crash cut short anywhere are left out, those before stay', () => {
    const first = sealFrame(key, Buffer.from('first'));
    const second = sealFrame(key, Buffer.from('second'));
    for (let length = 0; length < second.length; length++) {
      const cut = Buffer.concat([first, second.subarray(0, length)]);
      expect(openFrames(key, cut).plain.toString(), `${length}`).toBe('first');
      const room = Buffer.concat([first, Buffer.alloc(length)]);
      expect(openFrames(key, room).plain.toString(), `${length} zeros`).toBe('first');
    }
  });

  it('behind a damaged one are found again', () => {
    const frames = ['a\n', 'b\n', 'c\n'].map((text) => sealFrame(key, Buffer.from(text)));
    for (let at = 0; at < frames[1]!.length; at++) {
      const damaged = Buffer.from(frames[1]!);
      damaged[at]! ^= 0xff;
      const { plain } = openFrames(key, Buffer.concat([frames[0]!, damaged, frames[2]!]));
      expect(plain.toString(), `${at}`).toBe(`a\n${damagedMark.toString()}c\n`);
    }
  });

  it('never have the same nonce, and nothing opens under another key', () => {
    const nonces = new Set<string>();
    for (let count = 0; count < 10_000; count++)
      nonces.add(sealFrame(key, Buffer.alloc(0)).subarray(8, 20).toString('hex'));
    expect(nonces.size).toBe(10_000);
    expect(openFrames(newKey(), sealFrame(key, Buffer.from(secret))).plain).toEqual(damagedMark);
  });
});

describe('S0-61 append-only files, encrypted', () => {
  it('are cut where a line ends, also in the middle of what was written at once', async () => {
    const path = join(await temporaryDirectory(), 'lines');
    const files = encryptedFiles(diskFiles, newKey(), tmpdir());
    await files.append(path, Buffer.from('one\ntwo\n'));
    await files.append(path, Buffer.from('three\n'));
    await files.truncate(path, 8);
    expect(Buffer.from(await files.read(path)).toString()).toBe('one\ntwo\n');
    await files.truncate(path, 4);
    await files.append(path, Buffer.from('2\n'));
    expect(Buffer.from(await files.read(path)).toString()).toBe('one\n2\n');
  });

  it('continue after a crash that left half an addition', async () => {
    const directory = await temporaryDirectory();
    const path = join(directory, 'lines');
    const key = newKey();
    const files = encryptedFiles(diskFiles, key, tmpdir());
    await files.append(path, Buffer.from('one\n'));
    await diskFiles.append(path, sealFrame(key, Buffer.from('two\n')).subarray(0, 21));
    const afterCrash = encryptedFiles(diskFiles, key, tmpdir());
    await afterCrash.append(path, Buffer.from('three\n'));
    expect(Buffer.from(await afterCrash.read(path)).toString()).toBe('one\nthree\n');
  });

  it('frames behind a damaged first frame stay readable, and a file begins again after one that was cut short', async () => {
    const path = join(await temporaryDirectory(), 'lines');
    const key = newKey();
    const first = sealFrame(key, Buffer.from('one\n'));
    for (let at = 0; at < first.length; at++) {
      const damaged = Buffer.from(first);
      damaged[at]! ^= 0xff;
      await writeFile(path, Buffer.concat([damaged, sealFrame(key, Buffer.from('two\n'))]));
      const plain = Buffer.from(await encryptedFiles(diskFiles, key, tmpdir()).read(path));
      expect(plain.toString(), `${at}`).toBe(`${damagedMark.toString()}two\n`);
      await writeFile(path, first.subarray(0, at));
      const files = encryptedFiles(diskFiles, key, tmpdir());
      await files.append(path, Buffer.from('two\n'));
      expect(Buffer.from(await files.read(path)).toString(), `${at} cut`).toBe('two\n');
    }
  });
});

describe('S0-61 an encrypted store', () => {
  let directory: string;
  let keyFile: string;

  beforeEach(async () => {
    directory = await temporaryDirectory();
    keyFile = join(await temporaryDirectory(), 'keys', 'cwm.key');
  });

  const open = (turn: 'on' | 'off' | null = null, key: string | null = null): Promise<FileStore> =>
    openTestStore(directory, { encryption: { turn, keyFile: key } });

  async function filled(): Promise<FileStore> {
    const store = await open();
    await fill(store);
    await store.messages.append(sessionId('s1'), [aMessage('m2', 2, secret)]);
    await store.lineages.create({ id: lineageId('l9'), salt: secret, generation: 0 });
    await store.audit.record([{ event: 'SESSION_CREATE', outcome: 'ok', client: 'test', session: secret }]);
    await store.windows.list(windowsQuery());
    return store;
  }

  const contents = async (): Promise<Map<string, Buffer>> => {
    const found = new Map<string, Buffer>();
    for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (entry.isFile()) found.set(path, await readFile(path));
    }
    return found;
  };
  const readable = async (): Promise<string[]> =>
    [...(await contents())].flatMap(([path, bytes]) =>
      bytes.includes(secret) || bytes.includes('formatVersion') ? [path.slice(directory.length + 1)] : [],
    );

  it('has nothing in it that can be read, before and after everything that is done with it', async () => {
    const store = await filled();
    await store.sessions.delete(sessionId('s2'));
    await writeFile(join(directory, 'contexts/s1/messages/m1.json'), 'damaged');
    await expect(store.messages.load(sessionId('s1'), [messageId('m1')])).rejects.toMatchObject({ code: 'CWM-4004' });
    await store.close();
    expect((await readable()).length).toBeGreaterThan(8);

    const encrypted = await open('on', keyFile);
    expect(await readable()).toEqual(['encryption.json']);
    expect((await stat(keyFile)).mode & 0o777).toBe(0o600);
    expect((await encrypted.messages.load(sessionId('s1'), [messageId('m2')]))[0]?.content).toMatchObject({
      text: secret,
    });
    await encrypted.messages.append(sessionId('s1'), [aMessage('m3', 3, secret)]);
    await encrypted.windows.delete(windowName('w0'));
    await repair(encrypted);
    await encrypted.close();
    expect(await readable()).toEqual(['encryption.json']);
  });

  it('has no KV in clear any more, the models stay, and the engine gets one key for it', async () => {
    const plain = await filled();
    expect(plain.kvKey).toBeNull();
    await plain.close();
    const kept = join(directory, 'kv', 'models', 'model.gguf');
    for (const path of [
      join(directory, 'kv', '0'.repeat(32), 'ab', 'rows.kv'),
      join(directory, 'kv', 'run-1', 's'),
      kept,
    ]) {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, path === kept ? 'a model' : secret);
    }
    const encrypted = await open('on', keyFile);
    expect(await readable()).toEqual(['encryption.json']);
    expect(await readFile(kept, 'utf8')).toBe('a model');
    const { kvKey } = encrypted;
    expect(kvKey).toHaveLength(32);
    expect(Buffer.from(kvKey ?? '').toString('hex')).not.toBe((await readFile(keyFile, 'utf8')).trim());
    await encrypted.close();
    expect((await open()).kvKey).toEqual(kvKey);
  });

  it('opens again without being told where the key is, and says what it is', async () => {
    await (await filled()).close();
    await (await open('on', keyFile)).close();
    const again = await open();
    expect(again.encryption).toMatchObject({ state: 'on', keyFile, keyId: expect.stringMatching(/^[0-9a-f]{16}$/) });
    expect(await again.windows.loadTokens(windowName('w0'))).toEqual(someIds);
    expect(await problemsOf(again)).toEqual([]);
  });

  it('has the model server of new sessions as it was, and what was said can be searched', async () => {
    const plain = await filled();
    await plain.engine.choose('http://127.0.0.1:8000');
    await plain.search.messages({ text: 'text', limit: 1, offset: 0 });
    await plain.close();
    const encrypted = await open('on', keyFile);
    expect(await encrypted.engine.chosen()).toBe('http://127.0.0.1:8000');
    expect((await encrypted.search.messages({ text: 'text', limit: 1, offset: 0 })).total).toBeGreaterThan(0);
    await encrypted.close();
    for (const file of ['engine.json', 'search.sqlite'])
      expect((await readFile(join(directory, file))).toString('latin1'), file).not.toMatch(/8000|SQLite format/);
  });

  it('turned off is as it was before it was turned on', async () => {
    await (await filled()).close();
    const before = await contents();
    await (await open('on', keyFile)).close();
    await (await open('off')).close();
    const after = await contents();
    expect([...after.keys()].sort()).toEqual([...before.keys()].sort());
    for (const [path, bytes] of before)
      if (!path.endsWith('index.sqlite')) expect(after.get(path), path).toEqual(bytes);
  });

  it.each([
    ['a key of another store', async () => writeFile(keyFile, `${'ab'.repeat(32)}\n`)],
    ['no key file', async () => rm(keyFile)],
    ['a key file that others may read', async () => chmod(keyFile, 0o644)],
    ['a key file with something else in it', async () => writeFile(keyFile, secret)],
    ['a damaged encryption.json', async () => writeFile(join(directory, 'encryption.json'), 'damaged')],
  ])('with %s is refused with CWM-8003, and nothing in it is touched', async (_, spoil) => {
    await (await filled()).close();
    await (await open('on', keyFile)).close();
    await spoil();
    const before = await contents();
    const refused = open();
    await expect(refused).rejects.toMatchObject({ code: 'CWM-8003' });
    await expect(refused).rejects.toThrow(expect.objectContaining({ message: expect.not.stringContaining(secret) }));
    expect(await contents()).toEqual(before);
  });

  it('takes no file that somebody put there unencrypted, or flipped a bit of', async () => {
    await (await filled()).close();
    const plain = await readFile(join(directory, 'contexts/s1/messages/m2.json'));
    await (await open('on', keyFile)).close();
    await writeFile(join(directory, 'contexts/s1/messages/m2.json'), plain);
    const path = join(directory, 'windows/w0/manifest.json');
    const bytes = await readFile(path);
    bytes[bytes.length - 30]! ^= 1;
    await writeFile(path, bytes);
    const store = await open();
    await expect(store.messages.load(sessionId('s1'), [messageId('m2')])).rejects.toMatchObject({ code: 'CWM-4004' });
    await expect(store.windows.get(windowName('w0'))).rejects.toMatchObject({ code: 'CWM-4004' });
    expect(store.problems.filter(({ movedTo }) => movedTo !== null)).toHaveLength(2);
  });

  it('notices two files that changed places', async () => {
    const store = await filled();
    await store.close();
    await (await open('on', keyFile)).close();
    const [one, two] = ['m1', 'm2'].map((id) => join(directory, `contexts/s1/messages/${id}.json`)) as [string, string];
    const [first, second] = [await readFile(one), await readFile(two)];
    await writeFile(one, second);
    await writeFile(two, first);
    expect(await problemsOf(await open())).toHaveLength(2);
  });
});

describe('S0-61 when it ends in the middle', () => {
  const root = '/store';
  let keyFile: string;

  beforeEach(async () => {
    keyFile = join(await temporaryDirectory(), 'cwm.key');
  });

  const openOn = (files: MemoryFiles, turn: 'on' | 'off' | null) =>
    openTestStore(root, { files, encryption: { turn, keyFile } });

  it.each(['on', 'off'] as const)(
    'turning it %s is finished by the next start, wherever it was cut short',
    async (turn) => {
      const memory = new MemoryFiles();
      const store = await openTestStore(root, { files: memory });
      await fill(store);
      await store.close();
      if (turn === 'off') await (await openOn(memory, 'on')).close();
      const counting = new FaultyFiles(memory.copy());
      await (await openTestStore(root, { files: counting.files, encryption: { turn, keyFile } })).close();
      const points = counting.seen.length;
      expect(points).toBeGreaterThan(40);

      for (let at = 0; at < points; at++) {
        for (const [way, kind] of faultKinds.entries()) {
          if (!isSampled(at + way, faultKinds.length)) continue;
          const copy = memory.copy();
          const faulty = new FaultyFiles(copy);
          faulty.dieAt(at, kind);
          await openTestStore(root, { files: faulty.files, encryption: { turn, keyFile } }).then(
            (opened) => opened.close(),
            () => undefined,
          );
          copy.cutPower();
          const again = await openTestStore(root, { files: copy, encryption: { turn, keyFile } });
          expect(await again.windows.loadTokens(windowName('w0')), `${kind} ${at}`).toEqual(someIds);
          expect(await problemsOf(again), `${kind} ${at}`).toEqual([]);
          expect(again.encryption.state).toBe(turn);
          await again.close();
        }
      }
    },
  );

  it.each([
    ['on', 'off'],
    ['off', 'on'],
  ] as const)('turning it %s can be taken back by turning it %s, wherever it was cut short', async (turn, other) => {
    const memory = new MemoryFiles();
    const store = await openTestStore(root, { files: memory });
    await fill(store);
    await store.close();
    if (turn === 'off') await (await openOn(memory, 'on')).close();
    for (let at = 0, isOver = false; !isOver; at++) {
      const copy = memory.copy();
      const faulty = new FaultyFiles(copy);
      faulty.dieAt(at, 'before');
      isOver = await openTestStore(root, { files: faulty.files, encryption: { turn, keyFile } }).then(
        () => faulty.seen.length <= at,
        () => false,
      );
      copy.cutPower();
      const again = await openOn(copy, other);
      expect(again.encryption.state, `${at}`).toBe(other);
      expect(await problemsOf(again), `${at}`).toEqual([]);
      await again.close();
    }
  });

  it.each([
    ['shared', 'on a disk that gives files a second name', null],
    ['copied', 'K12 on one that takes no second name', 'EPERM'],
  ])('what two sessions have in common is %s %s', async (_, __, refusal) => {
    const directory = await temporaryDirectory();
    const store = await openTestStore(directory);
    await fill(store);
    await operations['createSession with content']?.(store);
    await store.close();
    let links = 0;
    const link = async (from: string, to: string): Promise<void> => {
      links++;
      if (refusal !== null) throw Object.assign(new Error(refusal), { code: refusal });
      await diskFiles.link(from, to);
    };
    const turned = { files: { ...diskFiles, link }, encryption: { turn: 'on', keyFile } } as const;
    await (await openTestStore(directory, turned)).close();
    expect(links).toBe(1);
    const inodes = ['s1', 's3'].map(
      async (id) => (await stat(join(directory, 'contexts', id, 'messages', 'm1.json'))).ino,
    );
    const [one, other] = await Promise.all(inodes);
    expect(one === other).toBe(refusal === null);
    const back = await openTestStore(directory);
    expect(await problemsOf(back)).toEqual([]);
    await back.close();
  });

  it('loses no line of a file that had a torn last one when it was encrypted', async () => {
    const memory = new MemoryFiles();
    const store = await openTestStore(root, { files: memory });
    await fill(store);
    await store.close();
    const [before] = await (await openTestStore(root, { files: memory.copy() })).receipts.list(windowName('w0'));
    await memory.append(`${root}/windows/w0/receipts.jsonl`, Buffer.from('{"torn'));
    await (await openOn(memory, 'on')).close();
    for (let at = 0, isOver = false; !isOver; at++) {
      const copy = memory.copy();
      const faulty = new FaultyFiles(copy);
      const opened = await openTestStore(root, { files: faulty.files });
      faulty.dieAt(at, 'after');
      isOver = await opened.receipts.append(windowName('w0'), aReceipt({ window: 'w0', verdict: 'partial' })).then(
        () => true,
        () => false,
      );
      copy.cutPower();
      const again = await openTestStore(root, { files: copy });
      const [first, second] = await again.receipts.list(windowName('w0'));
      expect(first, `${at}`).toEqual(before);
      expect(second !== undefined || !isOver, `${at}`).toBe(true);
    }
  });

  it.each(Object.entries(operations))(
    '%s is done or not done, as in a store that is not encrypted',
    async (_, operation) => {
      const memory = new MemoryFiles();
      const store = await openOn(memory, 'on');
      await fill(store);
      await store.close();
      const counting = new FaultyFiles(memory.copy());
      const whole = await openTestStore(root, { files: counting.files });
      counting.heal();
      await operation(whole);
      const points = counting.seen.length;
      await whole.close();
      for (let at = 0; at < points; at++) {
        for (const [way, kind] of (['torn', 'after'] as const).entries()) {
          if (!isSampled(at + way, 2)) continue;
          const copy = memory.copy();
          const faulty = new FaultyFiles(copy);
          const opened = await openTestStore(root, { files: faulty.files });
          faulty.dieAt(at, kind);
          await operation(opened).catch(() => undefined);
          copy.cutPower();
          const again = await openTestStore(root, { files: copy });
          expect(await problemsOf(again), `${kind} ${at}`).toEqual([]);
          await again.close();
        }
      }
    },
  );
});
