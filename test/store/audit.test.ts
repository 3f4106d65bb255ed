import { readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { sha256Hex } from '../../src/base/hash.ts';
import type { AuditEntry, AuditFact, AuditReport } from '../../src/protocol/schemas/audit.ts';
import { checkChain } from '../../src/store/audit/auditChain.ts';
import type { FileStore } from '../../src/store/fileStore.ts';
import { aSession, lineageId, sessionId } from './builders.ts';
import { allEndings, endAs } from './crashEndings.ts';
import { FaultyFiles } from './faultyFiles.ts';
import { MemoryFiles } from './memoryFiles.ts';
import { FakeClock, openTestStore, temporaryDirectory } from './testStore.ts';
import { fc } from '../support/fc.ts';
import { isSampled } from '../support/nightly.ts';

const signal = new AbortController().signal;
const dayMs = 24 * 60 * 60 * 1000;

const fact = (session: string): AuditFact => ({ event: 'SESSION_CREATE', outcome: 'ok', client: 'cli.1', session });

const linesOf = (text: string): string[] => text.split('\n').slice(0, -1);
const entriesOf = (text: string): AuditEntry[] => linesOf(text).map((line) => JSON.parse(line.slice(65)) as AuditEntry);

/** The line with its content changed and its own checksum put right. */
function forged(line: string, change: (entry: AuditEntry) => AuditEntry): string {
  const json = JSON.stringify(change(JSON.parse(line.slice(65)) as AuditEntry));
  return `${sha256Hex(json)}\t${json}`;
}

const places = ({ problems }: AuditReport): string[] => problems.map(({ file, line }) => `${file}:${line}`);

describe('S0-61 the audit log', () => {
  let directory: string;
  let clock: FakeClock;
  let store: FileStore;
  const log = (): string => join(directory, 'audit.jsonl');
  const read = (): Promise<string> => readFile(log(), 'utf8');

  beforeEach(async () => {
    directory = await temporaryDirectory();
    clock = new FakeClock();
    store = await openTestStore(directory, { clock });
  });

  const reopen = async (): Promise<void> => {
    await store.close();
    store = await openTestStore(directory, { clock });
  };
  const record = async (...sessions: string[]): Promise<void> => {
    for (const session of sessions) await store.audit.record([fact(session)]);
  };

  it('has a line for each fact, and each holds the hash of the one before', async () => {
    await store.audit.record([fact('a'), { ...fact('b'), window: 'w', verdict: 'proven' }]);
    await reopen();
    await record('c');
    const lines = linesOf(await read());
    const entries = entriesOf(await read());
    expect(entries).toEqual([
      { sequence: 1, at: '2026-03-01T10:00:00.000Z', previous: '0'.repeat(64), ...fact('a') },
      {
        sequence: 2,
        at: expect.any(String),
        previous: lines[0]?.slice(0, 64),
        ...fact('b'),
        window: 'w',
        verdict: 'proven',
      },
      { sequence: 3, at: expect.any(String), previous: lines[1]?.slice(0, 64), ...fact('c') },
    ]);
    expect(await store.audit.verify(signal)).toEqual({
      healthy: true,
      entries: 3,
      files: 1,
      head: { sequence: 3, hash: lines[2]?.slice(0, 64) },
      problems: [],
    });
  });

  it('is empty and whole before anything happened', async () => {
    expect(await store.audit.verify(signal)).toEqual({ healthy: true, entries: 0, files: 0, head: null, problems: [] });
  });

  it('stores many facts at once, all and in order', async () => {
    await Promise.all(Array.from({ length: 100 }, (_, at) => store.audit.record([fact(`s${at}`)])));
    expect(entriesOf(await read()).map(({ session }) => session)).toEqual(
      Array.from({ length: 100 }, (_, at) => `s${at}`),
    );
    expect(await store.audit.verify(signal)).toMatchObject({ healthy: true, entries: 100 });
  });

  describe('names the line', () => {
    const tampering: Record<string, { tamper: (lines: string[]) => string[]; found: string[]; what: RegExp }> = {
      'that was edited': {
        tamper: (lines) => lines.with(2, lines[2]!.replace('"s3"', '"xx"')),
        found: ['audit.jsonl:3'],
        what: /checksum/,
      },
      'that was edited and got a new checksum': {
        tamper: (lines) =>
          lines.with(
            2,
            forged(lines[2]!, (entry) => ({ ...entry, session: 'xx' })),
          ),
        found: ['audit.jsonl:3'],
        what: /changed/,
      },
      'before which one was taken out': {
        tamper: (lines) => lines.toSpliced(1, 1),
        found: ['audit.jsonl:2'],
        what: /Entry 2 is missing before it/,
      },
      'before which the first ones were taken out': {
        tamper: (lines) => lines.slice(2),
        found: ['audit.jsonl:1'],
        what: /Entries 1 to 2 are missing before it/,
      },
      'that changed places': {
        tamper: (lines) => [lines[0]!, lines[2]!, lines[1]!, ...lines.slice(3)],
        found: ['audit.jsonl:2', 'audit.jsonl:3'],
        what: /missing|behind/,
      },
      'that is there twice': {
        tamper: (lines) => lines.toSpliced(2, 0, lines[1]!),
        found: ['audit.jsonl:3'],
        what: /entry 2 and stands behind entry 2/,
      },
      'that was put in': {
        tamper: (lines) =>
          lines.toSpliced(
            2,
            0,
            forged(lines[2]!, (entry) => ({ ...entry, session: 'xx' })),
          ),
        found: ['audit.jsonl:4', 'audit.jsonl:3'],
        what: /entry 3 and stands behind entry 3|It was changed/,
      },
      'that is the last and was edited': {
        tamper: (lines) =>
          lines.with(
            5,
            forged(lines[5]!, (entry) => ({ ...entry, session: 'xx' })),
          ),
        found: ['audit.jsonl:6'],
        what: /changed/,
      },
      'behind which the last ones were taken': {
        tamper: (lines) => lines.slice(0, 4),
        found: ['audit.jsonl:0'],
        what: /Entries 5 to 6 are missing at the end/,
      },
      'that is gone with all others': {
        tamper: () => [],
        found: ['audit.jsonl:0'],
        what: /Entries 1 to 6 are missing at the end/,
      },
    };

    it.each(Object.entries(tampering))('%s', async (_, { tamper, found, what }) => {
      await record('s1', 's2', 's3', 's4', 's5', 's6');
      const lines = linesOf(await read());
      await writeFile(
        log(),
        tamper(lines)
          .map((text) => `${text}\n`)
          .join(''),
      );
      const report = await store.audit.verify(signal);
      expect(report.healthy).toBe(false);
      expect(places(report)).toEqual(found);
      for (const problem of report.problems) expect(problem.what).toMatch(what);
      const steps = await store.check.verify(signal);
      expect(steps.find(({ step }) => step === 'audit log')?.problems[0]).toContain('audit.jsonl');
    });

    it.each(Object.keys(tampering))('%s, also after the store was opened again and went on', async (name) => {
      await record('s1', 's2', 's3', 's4', 's5', 's6');
      await store.close();
      const lines = linesOf(await read());
      await writeFile(
        log(),
        tampering[name]!.tamper(lines)
          .map((text) => `${text}\n`)
          .join(''),
      );
      store = await openTestStore(directory, { clock });
      await record('s7');
      await reopen();
      await record('s8');
      const report = await store.audit.verify(signal);
      expect(report.healthy).toBe(false);
      expect(report.problems.length).toBeLessThanOrEqual(2);
    });
  });

  it('a file that was taken away is missed', async () => {
    await record('s1', 's2');
    await rm(log());
    expect((await store.audit.verify(signal)).problems).toMatchObject([
      { what: 'Entries 1 to 2 are missing at the end.' },
    ]);
    await reopen();
    expect(store.problems.map(({ path }) => path)).toContain('audit.jsonl');
    await record('s3');
    expect(entriesOf(await read())).toMatchObject([
      { sequence: 3, event: 'LOG_DAMAGED' },
      { sequence: 4, session: 's3' },
    ]);
    expect((await store.audit.verify(signal)).problems).toMatchObject([
      { line: 1, what: 'Entries 1 to 2 are missing before it.' },
    ]);
  });

  it('an entry that was written down elsewhere detects a log that was rewritten from scratch', async () => {
    await record('s1', 's2', 's3');
    const noted = (await store.audit.verify(signal)).head!;
    await record('s4');
    expect(await store.audit.verify(signal, noted)).toMatchObject({ healthy: true });
    expect((await store.audit.verify(signal, { ...noted, hash: 'f'.repeat(64) })).problems).toMatchObject([
      { line: 3 },
    ]);
    await store.close();
    await rm(log());
    await rm(join(directory, 'audit/head.json'));
    store = await openTestStore(directory, { clock });
    await record('x1', 'x2', 'x3', 'x4');
    expect(await store.audit.verify(signal)).toMatchObject({ healthy: true });
    expect((await store.audit.verify(signal, noted)).problems).toMatchObject([{ file: 'audit.jsonl', line: 3 }]);
  });

  it('S4-06 an incomplete last line is removed, and an entry says so', async () => {
    await record('s1', 's2');
    await store.close();
    await writeFile(log(), (await read()) + 'abc\t{"half":');
    store = await openTestStore(directory, { clock });
    await record('s3');
    expect(entriesOf(await read())).toMatchObject([
      { session: 's1' },
      { session: 's2' },
      { sequence: 3, event: 'LOG_REPAIRED' },
      { sequence: 4, session: 's3' },
    ]);
    expect(await store.audit.verify(signal)).toMatchObject({ healthy: true, entries: 4 });
  });

  it('continues after a head record that was lost or damaged', async () => {
    await record('s1', 's2');
    for (const damage of [
      () => rm(join(directory, 'audit/head.json')),
      () => writeFile(join(directory, 'audit/head.json'), 'x'),
    ]) {
      await store.close();
      await damage();
      store = await openTestStore(directory, { clock });
      await record('s');
    }
    expect(await store.audit.verify(signal)).toMatchObject({ healthy: true, entries: 4 });
  });

  it('a month that is over becomes an archive, and the chain goes through all of them', async () => {
    for (const session of ['march', 'april', 'may']) {
      if (session !== 'march') clock.advance(31 * dayMs);
      await record(session, session);
    }
    expect((await readdir(join(directory, 'audit'))).sort()).toEqual(['2026-03.jsonl', '2026-04.jsonl', 'head.json']);
    expect(entriesOf(await read())).toMatchObject([{ sequence: 5, session: 'may' }, { sequence: 6 }]);
    expect(await store.audit.verify(signal)).toMatchObject({ healthy: true, entries: 6, files: 3 });
    await reopen();
    expect(await store.audit.verify(signal)).toMatchObject({ healthy: true });
    const march = join(directory, 'audit/2026-03.jsonl');
    const lines = linesOf(await readFile(march, 'utf8'));
    await writeFile(march, `${lines[0]}\n`);
    expect(places(await store.audit.verify(signal))).toEqual(['audit/2026-04.jsonl:1']);
    await rm(march);
    expect(await store.audit.verify(signal)).toMatchObject({
      problems: [{ file: 'audit/2026-04.jsonl', line: 1, what: 'Entries 1 to 2 are missing before it.' }],
    });
  });

  it('a month goes to the trash when its last entry is 90 days old, and the chain continues from the entry about it', async () => {
    await record('march');
    clock.advance(31 * dayMs);
    await record('april');
    clock.advance(31 * dayMs);
    await record('may');
    clock.advance(27 * dayMs);
    await reopen();
    expect(await readdir(join(directory, 'audit'))).toContain('2026-03.jsonl');
    clock.advance(2 * dayMs);
    await reopen();
    expect((await readdir(join(directory, 'audit'))).sort()).toEqual(['2026-04.jsonl', 'head.json']);
    expect((await readdir(join(directory, 'trash'))).map((name) => name.replace(/^.*Z-/, ''))).toEqual([
      'audit-2026-03.jsonl',
    ]);
    expect(entriesOf(await read()).at(-1)).toMatchObject({ event: 'LOG_EXPIRED', through: { sequence: 1 } });
    expect(await store.audit.verify(signal)).toMatchObject({ healthy: true, entries: 3 });
    clock.advance(400 * dayMs);
    await record('much later');
    clock.advance(dayMs);
    await reopen();
    expect((await readdir(join(directory, 'audit'))).sort()).toEqual(['head.json']);
    expect(await store.audit.verify(signal)).toMatchObject({ healthy: true });
    await rm(join(directory, 'audit/head.json'));
    await reopen();
    expect(await store.audit.verify(signal)).toMatchObject({ healthy: true });
  });

  it('a clock that is 20 years ahead for one start costs neither the log nor what is in the trash', async () => {
    await record('march');
    clock.advance(31 * dayMs);
    await record('april');
    await store.lineages.create({ id: lineageId('l1'), salt: 'salt', generation: 0 });
    await store.sessions.create(aSession());
    await store.sessions.delete(sessionId('s1'));
    const years = 20 * 365 * dayMs;
    clock.advance(years);
    await reopen();
    await record('in the far future');
    await reopen();
    clock.advance(-years);
    await reopen();
    clock.advance(2 * dayMs);
    await reopen();
    expect(await readdir(join(directory, 'audit'))).toContain('2026-03.jsonl');
    expect(await store.trash.list()).toMatchObject([{ name: 's1' }]);
    expect(await store.audit.verify(signal)).toMatchObject({ healthy: true });
    clock.advance(6 * dayMs);
    await reopen();
    expect(await store.trash.list()).toEqual([]);
  });

  it('a clock that goes backwards changes nothing in the order', async () => {
    await record('april');
    clock.advance(-60 * dayMs);
    await record('february');
    await reopen();
    clock.advance(61 * dayMs);
    await record('march');
    expect(entriesOf(await read()).map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
    expect(await store.audit.verify(signal)).toMatchObject({ healthy: true });
  });

  it('a log that cannot be read does not stop the store from opening', async () => {
    const memory = new MemoryFiles();
    const first = await openTestStore('/store', { files: memory });
    await first.audit.record([fact('s1')]);
    await first.close();
    const files = Object.assign(Object.create(memory) as MemoryFiles, {
      read: async (path: string) => {
        if (path.endsWith('audit.jsonl')) throw Object.assign(new Error('EIO'), { code: 'EIO' });
        return memory.read(path);
      },
    });
    const second = await openTestStore('/store', { files });
    expect(second.problems).toMatchObject([{ path: 'audit.jsonl', what: 'It could not be read (EIO).' }]);
    await expect(second.audit.verify(signal)).rejects.toMatchObject({ code: 'CWM-4002' });
  });
});

describe('EC-052 the audit log when the disk fails', () => {
  const read = async (memory: MemoryFiles): Promise<AuditEntry[]> =>
    entriesOf(Buffer.from(await memory.read('/store/audit.jsonl')).toString());

  it.each(['before', 'torn', 'after'] as const)(
    'an entry that could not be written (%s) is counted in the next',
    async (kind) => {
      const memory = new MemoryFiles();
      const faulty = new FaultyFiles(memory);
      const store = await openTestStore('/store', { files: faulty.files });
      await store.audit.record([fact('s1')]);
      await store.close();
      const again = await openTestStore('/store', { files: faulty.files });
      faulty.failAt(0, kind, 'ENOSPC');
      await again.audit.record([fact('lost'), fact('lost')]);
      expect(again.problems).toMatchObject([{ path: 'audit.jsonl', what: 'Entries could not be written (ENOSPC).' }]);
      await again.audit.record([fact('s2')]);
      expect(await read(memory)).toMatchObject([{ session: 's1' }, { session: 's2', sequence: 2, lost: 2 }]);
      expect(await again.audit.verify(signal)).toMatchObject({ healthy: true });
    },
  );

  it.each(allEndings.map((one, way) => ({ ...one, way })))(
    'S4-06 a $ending ($kind) at any change loses no entry that was acknowledged',
    async ({ kind, ending, way }) => {
      /** Entries in five months, of which the first goes: every kind of change that the log makes. */
      const run = async (faulty: FaultyFiles, clock: FakeClock, acknowledged: Map<string, number>): Promise<void> => {
        for (let month = 0; month < 5; month++) {
          clock.advance(31 * dayMs);
          const store = await openTestStore('/store', { files: faulty.files, clock });
          for (const session of [`${month}a`, `${month}b`]) {
            await store.audit.record([fact(session)]);
            const isLost = store.problems.some(({ what }) => what.startsWith('Entries could not be written'));
            if (!isLost) acknowledged.set(session, clock.elapsedMs());
          }
          await store.close();
        }
      };
      const whole = new FaultyFiles(new MemoryFiles());
      await run(whole, new FakeClock(), new Map());
      const changes = whole.seen.length;
      expect(changes).toBeGreaterThan(50);
      for (let at = 0; at < changes; at++) {
        if (!isSampled(at + way, 3)) continue;
        const memory = new MemoryFiles();
        const faulty = new FaultyFiles(memory);
        faulty.dieAt(at, kind);
        const clock = new FakeClock();
        const acknowledged = new Map<string, number>();
        await run(faulty, clock, acknowledged).catch(() => undefined);
        endAs(ending, memory, at);
        const store = await openTestStore('/store', { files: memory, clock });
        await store.audit.record([fact('afterwards')]);
        const report = await store.audit.verify(signal);
        expect(report.problems, `${ending} at change ${at}, ${whole.seen[at]}`).toEqual([]);
        const archives = (await memory.list('/store/audit')).filter((name) => name !== 'head.json');
        const left = await Promise.all(
          ['audit.jsonl', ...archives.map((name) => `audit/${name}`)].map(async (path) =>
            entriesOf(Buffer.from(await memory.read(`/store/${path}`)).toString()),
          ),
        );
        const sessions = new Set(left.flat().map(({ session }) => session));
        for (const [session, atMs] of acknowledged) {
          if (clock.elapsedMs() - atMs < 90 * dayMs) expect(sessions, `entry after change ${at}`).toContain(session);
        }
        await store.close();
      }
    },
  );
});

describe('the check of a chain', () => {
  it('finds any change of any byte, and throws at none', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.string({ unit: 'binary', maxLength: 200 }), (bytes, text) => {
        for (const content of [bytes, Buffer.from(text), Buffer.from(`${sha256Hex(text)}\t${text}\n`)]) {
          const report = checkChain([{ name: 'audit.jsonl', bytes: content }], []);
          expect(report.healthy).toBe(content.length === 0);
        }
      }),
    );
  });

  it('finds every flipped bit and every lost byte of a whole log', async () => {
    const memory = new MemoryFiles();
    const store = await openTestStore('/store', { files: memory });
    for (const session of ['a', 'b', 'c']) await store.audit.record([fact(session)]);
    const { head } = await store.audit.verify(signal);
    const bytes = Buffer.from(await memory.read('/store/audit.jsonl'));
    expect(checkChain([{ name: 'log', bytes }], [head!]).healthy).toBe(true);
    for (let at = 0; at < bytes.length; at++) {
      const flipped = Buffer.from(bytes);
      flipped[at]! ^= 1 << (at % 8);
      const without = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)]);
      for (const damaged of [flipped, without, bytes.subarray(0, at)]) {
        expect(checkChain([{ name: 'log', bytes: damaged }], [head!]).healthy, `byte ${at}`).toBe(false);
      }
    }
  });
});
