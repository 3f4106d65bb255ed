import { createSecretKey, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { journalFile } from '../../src/gateway/recording/journalFile.ts';
import { plainEnvelope, sealedEnvelope } from '../../src/store/encryption/envelope.ts';
import { temporaryDirectories } from '../backend/support/temporaryDirectory.ts';

const makeDirectory = temporaryDirectories();
const lines = ['{"s":"1","m":"a"}', '{"s":"1","m":"b"}'];

test('in an encrypted store, nothing of the index of the gateway stands in clear, nor what was damaged of it', async () => {
  const file = path.join(makeDirectory(), 'gateway', 'said.jsonl');
  const journal = journalFile(file, sealedEnvelope(createSecretKey(randomBytes(32))));
  expect(await journal.read()).toEqual([]);
  for (const line of lines) await journal.append([line]);
  await journal.setAside(['{"s":"half']);
  expect(readFileSync(file, 'latin1') + readFileSync(`${file}.damaged`, 'latin1')).not.toContain('"s"');
  expect(await journal.read()).toEqual(lines);
  await journal.replace(lines.slice(1));
  expect(readFileSync(file, 'latin1')).not.toContain('"s"');
  expect(await journal.read()).toEqual(lines.slice(1));
});

test('an index that an earlier version wrote in clear is encrypted when it is read', async () => {
  const file = path.join(makeDirectory(), 'said.jsonl');
  writeFileSync(file, `${lines.join('\n')}\n`);
  const journal = journalFile(file, sealedEnvelope(createSecretKey(randomBytes(32))));
  expect(await journal.read()).toEqual(lines);
  expect(readFileSync(file, 'latin1')).not.toContain('"s"');
  expect(await journal.read()).toEqual(lines);
});

test('an addition that a crash or a full disk cut costs itself and no other one', async () => {
  for (const sealing of [plainEnvelope, sealedEnvelope(createSecretKey(randomBytes(32)))]) {
    const file = path.join(makeDirectory(), 'said.jsonl');
    const journal = journalFile(file, sealing);
    await journal.append([lines[0]!]);
    const { size } = statSync(file);
    await journal.append(['{"s":"1","m":"cut"}']);
    truncateSync(file, size + 9);
    await journal.append([lines[1]!]);
    expect(await journal.read()).toEqual(expect.arrayContaining(lines));
  }
});

test('an index that another process writes is read, and nothing of it is written', async () => {
  const folder = makeDirectory();
  const file = path.join(folder, 'said.jsonl');
  const clear = `${lines.join('\n')}\n`;
  writeFileSync(file, clear);
  const journal = journalFile(file, sealedEnvelope(createSecretKey(randomBytes(32))), true);
  expect(await journal.read()).toEqual(lines);
  await journal.append(['{"s":"1","m":"c"}']);
  await journal.setAside(['{"s":"half']);
  await journal.replace([]);
  expect(readFileSync(file, 'utf8')).toBe(clear);
  expect(readdirSync(folder)).toEqual(['said.jsonl']);
});
