import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { killHard, readRecord, realBackends } from '../client/support/realBackends.ts';
import { until } from '../support/until.ts';
import { cliOn, cliProcessOn } from './support/cli.ts';
import { isRunning } from '../support/isRunning.ts';

const { makeStorage } = realBackends();

const receiptFields = [
  'operation',
  'session',
  'window',
  'verdict',
  'tier',
  'promptTokens',
  'cachedTokens',
  'floorTokens',
  'content',
  'kvBytesWritten',
  'ms',
];

function makeProject(): string {
  const root = makeStorage();
  mkdirSync(join(root, 'src'));
  for (const name of ['one', 'two', 'three']) {
    const lines = Array.from({ length: 20 }, (_, line) => `export const ${name}${line} = ${line};`);
    writeFileSync(join(root, 'src', `${name}.ts`), lines.join('\n'));
  }
  writeFileSync(join(root, '.gitignore'), 'ignored/\n');
  mkdirSync(join(root, 'ignored'));
  writeFileSync(join(root, 'ignored', 'file.ts'), 'never');
  return root;
}

interface Status {
  readonly pid: number;
  readonly engines: readonly { readonly spec: string; readonly pid: number | null }[];
}

/** Of the window's last block: all before it stay whole. */
function lastKvFile(storage: string, window: string): string {
  const folder = join(storage, 'windows', window);
  const list = readdirSync(folder).find((name) => name.startsWith('blocks-')) ?? '';
  const { value } = JSON.parse(readFileSync(join(folder, list), 'utf8')) as { value: { hash: string }[] };
  const hash = value.at(-1)?.hash ?? 'none';
  const files = readdirSync(join(storage, 'kv'), { recursive: true, encoding: 'utf8' });
  return join(storage, 'kv', files.find((name) => name.includes(hash)) ?? 'none');
}

describe('cwm, the main job on the embedded engine', () => {
  it('N17 N24 brings a context back proven after a kill -9 of backend and engine, and shares every block with a clone', async () => {
    const storage = makeStorage();
    const cwm = cliOn(storage, makeProject());

    const created = await cwm.json('session', 'new', '--id', 'main', '--title', 'The main job', '--project', '.');
    expect(created).toMatchObject({ session: 'main', title: 'The main job', engine: 'embedded' });
    expect(created['project']).toMatch(/^file:\/\//);

    const primed = await cwm.json('prime', 'main', 'src', '.');
    expect(primed).toMatchObject({
      session: 'main',
      skipped: [{ path: 'ignored', why: 'ignored by git (.gitignore)' }],
    });
    const files = primed['files'] as { path: string }[];
    expect(files.map(({ path }) => path)).toEqual(['.gitignore', 'src/one.ts', 'src/three.ts', 'src/two.ts']);

    const sent = await cwm.json('send', 'main', 'What is one7?', '--max-tokens', '8');
    expect(sent).toMatchObject({
      text: expect.any(String),
      promptTokens: expect.any(Number),
      cachedTokens: expect.any(Number),
    });
    expect(sent['promptTokens']).toBeGreaterThan(Number(primed['promptTokens']));
    expect(sent['cachedTokens']).toBeGreaterThan(0);

    const frozen = await cwm.json('freeze', 'main', 'saved', '--description', 'all of it', '--tag', 'a', '--tag', 'b');
    expect(Object.keys(frozen)).toEqual(expect.arrayContaining(receiptFields));
    expect(frozen).toMatchObject({ operation: 'freeze', session: 'main', window: 'saved', verdict: 'proven' });

    const status = (await cwm.json('status')) as unknown as Status;
    const enginePid = status.engines.find(({ spec }) => spec === 'embedded')?.pid ?? 0;
    expect(isRunning(enginePid)).toBe(true);
    await Promise.all([killHard(enginePid), killHard(status.pid)]);

    const thawed = await cwm.json('thaw', 'saved', '--session', 'again');
    expect(Object.keys(thawed)).toEqual(expect.arrayContaining(receiptFields));
    expect(thawed).toMatchObject({
      operation: 'thaw',
      session: 'again',
      verdict: 'proven',
      tier: 'disk',
      cachedTokens: thawed['floorTokens'],
      content: { checksums: 'agreed', canary: 'agreed' },
      kvBytesWritten: 0,
    });
    expect(thawed['promptTokens']).toBeGreaterThanOrEqual(Number(sent['promptTokens']));
    expect(readRecord(storage).pid).not.toBe(status.pid);

    const cloned = await cwm.json('clone', 'saved', 'copy', '--tag', 'c');
    expect(cloned).toMatchObject({ operation: 'clone', window: 'copy', kvBytesWritten: 0 });
    const list = await cwm.json('list', '--sort', 'name', '--order', 'asc');
    expect(list).toMatchObject({ total: 2, items: [{ name: 'copy' }, { name: 'saved', tags: ['a', 'b'] }] });
    expect(await cwm.json('list', '--tag', 'b', '--search', 'all')).toMatchObject({ items: [{ name: 'saved' }] });
    expect(await cwm.json('status', 'saved')).toMatchObject({ summary: { lastThaw: { verdict: 'proven' } } });
    expect(await cwm.json('verify')).toMatchObject({ healthy: true });

    const block = lastKvFile(storage, 'saved');
    const bytes = readFileSync(block);
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
    writeFileSync(block, bytes);
    const damaged = await cwm.run('verify', '--json');
    expect(damaged).toMatchObject({ code: 1, stderr: '' });
    expect(JSON.parse(damaged.stdout)).toMatchObject({ healthy: false });
    // Killed, for a backend that is stopped makes checkpoints first, and they would write the block again.
    const { pid: backendPid, engines } = (await cwm.json('status')) as unknown as Status;
    await Promise.all([backendPid, ...engines.flatMap(({ pid }) => pid ?? [])].map((pid) => killHard(pid)));
    const repaired = { verdict: 'partial', repair: 'blocks-deleted', content: { blocksDamaged: 1 } };
    expect(await cwm.json('thaw', 'saved')).toMatchObject(repaired);
    expect(await cwm.json('verify')).toMatchObject({ healthy: true });

    expect(await cwm.json('delete', 'copy')).toMatchObject({ window: 'copy', blocksDeleted: 0 });
    const { pid } = readRecord(storage);
    expect(await cwm.json('stop')).toEqual({ stopped: true, pid });
    expect(isRunning(pid)).toBe(false);
    expect(await cwm.json('stop')).toEqual({ stopped: false, pid: null });
  });

  it('tells a person the same in words, on stdout, and nothing else there', async () => {
    const cwm = cliProcessOn(makeStorage(), makeProject());
    expect((await cwm.run('session', 'new', '--id', 'w')).stdout).toBe('Created session w on embedded.\n');
    expect((await cwm.run('prime', 'w', 'src/one.ts')).stdout).toMatch(
      /^Added 1 file \(.*\) to the context: .* tokens/,
    );
    const sent = await cwm.run('send', 'w', 'Go on.', '--max-tokens', '4');
    expect(sent.stderr).toMatch(/^\[[\d,]+ tokens, [\d,]+ reused/);
    expect((await cwm.run('freeze', 'w', 'kept', '--checkpoint')).stdout).toMatch(/^Checkpoint: .*\n.*\n {2}Window/);
    expect((await cwm.run('list')).stdout).toMatch(/^WINDOW .*\nkept /);
    expect((await cwm.run('session', 'list')).stdout).toMatch(/^SESSION .*\nw /);
    expect((await cwm.run('session', 'show', 'w')).stdout).toMatch(
      /^Session Go on\.\n {2}Session +w\n {2}Lifecycle +open\n/,
    );
    expect((await cwm.run('status', 'kept')).stdout).toMatch(/^Window kept holds [\d,]+ tokens of session w\./);
    const doctor = await cwm.run('doctor');
    expect(doctor).toMatchObject({ code: 0, stdout: expect.stringMatching(/^It works; .*✓ engine: /s) });
    expect((await cwm.run('delete', 'kept')).stdout).toMatch(/^Deleted window kept and \d+ KV blocks?\./);
    expect((await cwm.run('stop')).stdout).toMatch(/^The backend \(process \d+\) has stopped\.\n$/);
  });

  it('engines die with their backend, however that ends', async () => {
    const storage = makeStorage();
    const cwm = cliOn(storage);
    for (const end of [() => killHard(readRecord(storage).pid), () => cwm.json('stop')]) {
      await cwm.json('doctor');
      const { engines } = (await cwm.json('status')) as unknown as Status;
      const pid = engines[0]?.pid ?? 0;
      expect(isRunning(pid)).toBe(true);
      await end();
      await until('the engine has ended', () => !isRunning(pid));
    }
  });
});
