import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { takeBackendLock } from '../../src/backend/process/backendLock.ts';
import { isAnnounced } from '../../src/backend/process/recordFile.ts';
import { readBackendRecord } from '../../src/client/backendRecord.ts';
import { findBackend } from '../../src/client/findBackend.ts';
import { productVersion } from '../../src/protocol/version.ts';
import { temporaryDirectories } from '../backend/support/temporaryDirectory.ts';
import { fc } from '../support/fc.ts';

const makeDirectory = temporaryDirectories();
const signal = new AbortController().signal;

const anyText = fc.oneof(
  fc.json({ maxDepth: 3 }),
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.constantFrom('', '{', 'null', '[]', '{"__proto__":{"pid":1}}', '\0', 'released\n'),
);

/** Like a record, with any field of any kind. */
const almostRecord = fc
  .record(
    {
      pid: fc.oneof(fc.integer(), fc.constantFrom(0, -1, 1e300, '1', null)),
      version: fc.oneof(fc.constantFrom(productVersion, '0.0.0', ''), fc.jsonValue()),
      address: fc.oneof(
        fc.constantFrom('', '/', '/dev/null', '\0', '../../x', 'x'.repeat(5000)),
        fc.jsonValue({ maxDepth: 1 }),
      ),
      startedAt: fc.oneof(fc.string(), fc.jsonValue({ maxDepth: 1 })),
      token: fc.oneof(fc.string(), fc.constantFrom('a\r\nb', 'ä', null), fc.jsonValue({ maxDepth: 1 })),
    },
    { requiredKeys: [] },
  )
  .map((value) => JSON.stringify(value));

describe('S0-60 files that are read before anything else', () => {
  it('backend.json of any content names no backend, and never throws', async () => {
    const storage = makeDirectory();
    await fc.assert(
      fc.asyncProperty(fc.oneof(anyText, almostRecord), async (text) => {
        writeFileSync(join(storage, 'backend.json'), text);
        const record = await readBackendRecord(storage);
        if (record !== null) expect(typeof record.address).toBe('string');
        expect(await findBackend({ storage }, signal)).toBeNull();
        expect(isAnnounced(storage, record?.pid ?? 1)).toBe(record !== null);
      }),
      { numRuns: 300 },
    );
  });

  it.skipIf(process.platform === 'win32').each([
    ['is gigabytes long', (path: string) => (writeFileSync(path, '{'), truncateSync(path, 3 * 2 ** 30))],
    ['is a named pipe', (path: string) => void execFileSync('mkfifo', ['-m', '600', path])],
    ['is a directory', (path: string) => mkdirSync(path)],
    ['is a link', (path: string) => symlinkSync('/dev/zero', path)],
  ])('backend.json that %s names no backend, and nothing waits for it', async (_, plant) => {
    const storage = makeDirectory();
    plant(join(storage, 'backend.json'));
    expect(await readBackendRecord(storage)).toBeNull();
    expect(isAnnounced(storage, 1)).toBe(false);
  });

  it('a lock file of any content is held by nobody, or refused, and never throws', () => {
    fc.assert(
      fc.property(anyText, fc.constantFrom('1', '7', '999999', 'x', '-1', '1.5', '9'.repeat(30)), (text, number) => {
        const storage = makeDirectory();
        writeFileSync(join(storage, `backend.lock.${number}`), text);
        const taken = takeBackendLock(storage, () => undefined);
        // An empty file is one whose holder is about to write its name.
        if (text !== '') expect(taken.held).toBe(true);
        if (taken.held) taken.lock.dispose();
        expect(readdirSync(storage).length).toBeGreaterThan(0);
        rmSync(storage, { recursive: true, force: true });
      }),
      { numRuns: 200 },
    );
  });
});
