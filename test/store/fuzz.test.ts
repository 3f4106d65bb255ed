import { describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { sha256Hex } from '../../src/base/hash.ts';
import { sealImage } from '../../src/store/index/indexImage.ts';
import { loadSqlJs } from '../../src/store/index/sqlJs.ts';
import { indexVersion } from '../../src/store/index/schema.ts';
import { decodeLines } from '../../src/store/disk/lines.ts';
import { DamageError, decodeRecord, encodeRecord, openRecord } from '../../src/store/disk/record.ts';
import { sessionId, sessionsQuery, windowName, windowsQuery } from './builders.ts';
import { filled, put, root, storedFiles, useEverything } from './everything.ts';
import { openTestStore } from './testStore.ts';
import { runs } from '../support/nightly.ts';
import { fc } from '../support/fc.ts';

const signal = new AbortController().signal;
const schema = z.object({ text: z.string() });

/** JSON of any kind, also such as no program writes. */
const anyJson = fc.oneof(
  fc.json({ maxDepth: 4 }),
  fc.constantFrom(
    '{"__proto__":{"text":"x"}}',
    '{"text":"a","text":1}',
    '1e999',
    '"\\ud800"',
    `${'['.repeat(5000)}${']'.repeat(5000)}`,
  ),
);
const anyText = fc.oneof(anyJson, fc.string({ unit: 'binary', maxLength: 300 }));
const anyBytes = fc.oneof(
  fc.uint8Array({ maxLength: 500 }),
  anyText.map((text) => Buffer.from(text)),
);

/** A record whose checksum holds, whatever is in it. */
const sealed = (text: string, version: number | string = 1): Uint8Array =>
  Buffer.from(`{"formatVersion":${version},"sha256":"${sha256Hex(`${version}\n`, text)}","value":${text}}\n`);

describe('S0-60 parsers of stored files', () => {
  it('a record of any bytes is damaged', () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        expect(() => openRecord(bytes)).toThrow(DamageError);
      }),
      { numRuns: runs(500, 2000) },
    );
  });

  it('a record of any text with the right checksum is a value, damaged, or of another version', () => {
    fc.assert(
      fc.property(anyText, fc.constantFrom(1, 2, 999_999_999, '0', '1e3', '-1'), (text, version) => {
        try {
          expect(decodeRecord(sealed(text, version), schema)).toEqual({ text: expect.any(String) as unknown });
        } catch (error) {
          if (!(error instanceof DamageError)) expect(error).toMatchObject({ code: 'CWM-1004' });
        }
      }),
      { numRuns: runs(500, 2000) },
    );
  });

  it('lines of any bytes, and any lines with the right checksum, are values or damaged', () => {
    fc.assert(
      fc.property(
        anyBytes,
        fc.array(
          anyText.map((text) => text.replaceAll('\n', ' ')),
          { maxLength: 5 },
        ),
        (bytes, texts) => {
          const lines = texts.map((text) => `${sha256Hex(text)}\t${text}\n`).join('');
          const { values, damagedLines } = decodeLines(Buffer.from(lines), schema);
          expect(values.length + damagedLines.length).toBe(texts.length);
          expect(decodeLines(bytes, schema).values).toEqual([]);
        },
      ),
      { numRuns: runs(500, 2000) },
    );
  });
});

describe.each(storedFiles)('S0-60 a store whose %s', (path) => {
  it('is any bytes fails with typed errors alone', async () => {
    await fc.assert(
      fc.asyncProperty(anyBytes, async (bytes) => {
        const memory = await filled();
        await put(memory, path, bytes);
        for (const code of await useEverything(memory)) expect(code).toMatch(/^CWM-(1004|[234]\d{3})$/);
      }),
      { numRuns: runs(4, 25) },
    );
  });

  it('says anything under a right checksum fails with typed errors alone', async () => {
    await fc.assert(
      fc.asyncProperty(anyText, fc.constantFrom(1, 1, 1, 2), async (text, version) => {
        const memory = await filled();
        const line = text.replaceAll('\n', ' ');
        if (path.endsWith('.jsonl')) await put(memory, path, Buffer.from(`${sha256Hex(line)}\t${line}\n`));
        else if (path === 'index.sqlite') await put(memory, path, sealImage(Buffer.from(text)));
        else await put(memory, path, sealed(text, version));
        for (const code of await useEverything(memory)) expect(code).toMatch(/^CWM-(1004|[234]\d{3})$/);
      }),
      { numRuns: runs(4, 25) },
    );
  });

  it.skipIf(!path.endsWith('.json') || path === 'store.json')(
    'has any one field changed to anything fails with typed errors alone',
    async () => {
      const original = openRecord(await (await filled()).read(`${root}/${path}`)).value as Record<string, unknown>;
      const strange = fc.oneof(
        fc.jsonValue({ maxDepth: 2 }),
        fc.constantFrom('..', '../x', 's2', 'w1', '', 'x'.repeat(500), 'nul', -1, 1.5, 2 ** 60, [], {}, null, ['..']),
      );
      await fc.assert(
        fc.asyncProperty(fc.constantFrom(...Object.keys(original)), strange, async (field, value) => {
          const memory = await filled();
          await put(memory, path, encodeRecord({ ...original, [field]: value }));
          for (const code of await useEverything(memory))
            expect(code, `${field}=${JSON.stringify(value)}`).toMatch(/^CWM-(1\d{3}|[234]\d{3}|8001)$/);
        }),
        { numRuns: runs(10, 60) },
      );
    },
  );
});

describe('S0-60 files that are whole and wrong', () => {
  it('token ids that are no whole number of ids are damaged', async () => {
    const memory = await filled();
    const bytes = Buffer.from([1, 2, 3]);
    const sha256 = sha256Hex(bytes);
    await memory.create(`${root}/contexts/s1/tokens-${sha256}.u32`, bytes);
    const manifest = openRecord(await memory.read(`${root}/windows/w0/manifest.json`)).value as { tokens: object };
    await put(
      memory,
      'windows/w0/manifest.json',
      encodeRecord({ ...manifest, tokens: { ...manifest.tokens, sha256 } }),
    );
    await put(memory, 'windows/w0/tokens.u32', bytes);
    const store = await openTestStore(root, { files: memory });
    await expect(store.sessions.loadTokens(sessionId('s1'), sha256)).rejects.toMatchObject({ code: 'CWM-4004' });
    await expect(store.windows.loadTokens(windowName('w0'))).rejects.toMatchObject({ code: 'CWM-4004' });
  });

  it.each([
    ['has other tables', 'CREATE TABLE sessions (x); CREATE TABLE windows (y);'],
    ['has none', ''],
    ['has the right ones with other columns and rows', 'CREATE TABLE sessions (id); INSERT INTO sessions VALUES (1);'],
  ])('an index that %s is made anew', async (_, statements) => {
    const sql = await loadSqlJs(null);
    const database = new sql.Database();
    database.exec(`${statements} PRAGMA user_version = ${indexVersion}`);
    const memory = await filled();
    await put(memory, 'index.sqlite', sealImage(database.export()));
    const store = await openTestStore(root, { files: memory });
    expect((await store.sessions.list(sessionsQuery())).total).toBe(2);
    expect((await store.windows.list(windowsQuery())).items.map(({ name }) => name)).toEqual(['w0']);
    expect((await store.check.verify(signal)).flatMap((step) => step.problems)).toEqual([]);
  });
});
