import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runCommandLine } from '../../src/cli/program.ts';
import { wholeBackends, type WholeBackend } from '../security/support/wholeBackend.ts';
import { FakeTerminal, type Outcome } from './support/fakeTerminal.ts';

const start = wholeBackends();

/** The command line of a person, in this process and on a backend of this process. */
const person =
  ({ storage }: WholeBackend, isWatched = false) =>
  async (...args: string[]): Promise<Outcome> => {
    const terminal = new FakeTerminal({ isWatched });
    const code = await runCommandLine([...args, '--storage', storage], terminal);
    return { code, stdout: terminal.stdout, stderr: terminal.stderr };
  };

/** Session `s` with a turn, and its window `w`. */
async function withWindow(backend: WholeBackend): Promise<void> {
  await backend.client.call('createSession', { id: 's' });
  await backend.client.call('send', { session: 's', text: 'What is a prefix cache good for?', maxTokens: 4 });
  await backend.client.call('freeze', { session: 's', window: 'w', description: 'The first one', checkpoint: true });
}

describe('cwm tells a person', () => {
  it('S0-12 that a window is pinned, and no longer pinned', async () => {
    const backend = await start();
    await withWindow(backend);
    const cwm = person(backend);
    expect((await cwm('pin', 'w')).stdout).toBe('Window w is pinned: no budget evicts its KV.\n');
    expect((await cwm('unpin', 'w')).stdout).toBe('Window w is no longer pinned.\n');
  });

  it('which deleted things the trash holds, and what became of each', async () => {
    const backend = await start();
    await withWindow(backend);
    const cwm = person(backend);
    expect((await cwm('trash', 'list')).stdout).toBe('The trash is empty.\n');
    await cwm('delete', 'w');
    const listed = (await cwm('trash', 'list')).stdout;
    expect(listed).toMatch(
      /^ITEM +KIND +NAME +SIZE +DELETED +REMOVED AFTER\n\S+ +window +w +\S+ \S+ +just now +\d{4}-/,
    );
    const item = /\n(\S+)/.exec(listed)?.[1] ?? '';
    expect((await cwm('trash', 'restore', item)).stdout).toBe('Restored window w from the trash.\n');
    await cwm('delete', 'w');
    expect((await cwm('trash', 'empty', '--all')).stdout).toMatch(
      /^Removed 1 item for good\. This freed [\d.]+ \w+\.\n$/,
    );
  });

  it('where something was said, with the words around it', async () => {
    const backend = await start();
    await withWindow(backend);
    const cwm = person(backend);
    const { stdout, stderr } = await cwm('search', 'prefix', 'cache');
    expect(stdout).toMatch(
      /^\d{4}-\S+ \S+ UTC {2}You, in What is a prefix cache good for\? \(s\)\n {2}What is a prefix cache/,
    );
    expect(stderr).toMatch(/^\d+ messages?\.\n$/);
    const marked = await person(backend, true)('search', 'cache');
    expect(marked.stdout).toContain('\u001b[1mcache\u001b[22m');
    expect((await cwm('search', 'neverSaid')).stderr).toMatch(/^Nothing was found\. Of files .* only the names/);
  });

  it('what was imported and what was left out, and writes what is exported to a new file of their own', async () => {
    const backend = await start();
    const cwm = person(backend);
    const file = join(backend.storage, 'talk.json');
    writeFileSync(
      file,
      JSON.stringify([{ role: 'user', content: [{ type: 'text', text: 'Hello.' }, { type: 'input_audio' }] }]),
    );
    const { stdout } = await cwm('import', file, '--id', 'i');
    expect(stdout).toBe(
      'Imported 1 message (openai) as session i: Hello.\n  · Parts of the kind "input_audio" that were left out: 1.\n',
    );
    expect((await cwm('export', 'i')).stdout).toBe('# Hello.\n\n## You\n\nHello.\n');
    const written = join(backend.storage, 'talk.cwindow');
    expect((await cwm('export', 'i', '--format', 'cwindow', '--output', written)).stdout).toBe(`Wrote ${written}.\n`);
    expect((await cwm('import', written, '--id', 'again')).stdout).toMatch(/^Imported 1 message \(cwindow\)/);
    expect(await cwm('export', 'i', '--output', written)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/EEXIST[^]*Name a new file/),
    });
    const frozen = await cwm('import', written, '--id', 'whole', '--window', 'from-elsewhere');
    expect(frozen.stdout).toMatch(/^Imported 1 message[^]*from-elsewhere/);
    expect((await cwm('thaw', 'from-elsewhere')).stdout).toContain('from-elsewhere');
    const markdown = join(backend.storage, 'talk.md');
    await cwm('export', 'i', '--output', markdown);
    expect(await cwm('import', markdown)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/neither JSON[^]*Known formats: cwindow, [^]*Markdown is only to read/),
    });
    expect(await cwm('import', `${written}.gone`)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('ENOENT'),
    });
  });

  it('that an export with KV needs a .cwindow file, and what it wrote where the model server has no KV to take along', async () => {
    const backend = await start();
    await withWindow(backend);
    const cwm = person(backend);
    const file = join(backend.storage, 'talk.cwindow');
    for (const args of [['--kv'], ['--kv', '--output', file], ['--kv', '--format', 'cwindow']])
      expect(await cwm('export', 's', ...args)).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('"--kv" needs "--format cwindow" and "--output FILE".'),
      });
    const { stdout } = await cwm('export', 's', '--format', 'cwindow', '--output', file, '--kv');
    expect(stdout).toBe(
      `Wrote ${file}.\nIt has no KV.\n  · Only the embedded engine has KV that can be taken to another machine.\n`,
    );
    expect(await cwm('import', file, '--kv')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`${file} has no KV.`),
    });
  });

  it('EC-004 which checks passed, of all windows or of one, and with which exit code it ends when one did not', async () => {
    const backend = await start();
    await withWindow(backend);
    const cwm = person(backend);
    const whole = await cwm('verify');
    expect(whole.code).toBe(0);
    expect(whole.stdout).toMatch(/records/i);
    expect((await cwm('verify', 'w')).code).toBe(0);
    writeFileSync(join(backend.storage, 'contexts', 's', 'metadata.json'), 'damaged');
    const damaged = await cwm('verify');
    expect(damaged.code).toBe(1);
    expect(damaged.stdout).toMatch(/^✗ .*s/m);
    expect((await cwm('verify', '--repair')).stdout).toMatch(/^Repaired: /m);
  });

  it('a window with its description, and how the backend is', async () => {
    const backend = await start();
    await withWindow(backend);
    const cwm = person(backend);
    const window = await cwm('status', 'w');
    expect(window.stdout).toMatch(/^Window w holds [\d,]+ tokens of session s\.\n.*Description +The first one\n/s);
    const health = await cwm('status');
    expect(health.code).toBe(0);
    expect(health.stdout).toContain(`${backend.engine} `);
  });

  it('S0-61 what the check of the audit log found, also from an entry that an earlier check printed', async () => {
    const backend = await start();
    await withWindow(backend);
    const cwm = person(backend);
    const first = await cwm('audit', 'verify');
    expect(first).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+ entries, all as they were written\.\n/),
    });
    const known = /The last entry is (\S+)/.exec(first.stdout)?.[1] ?? '';
    expect((await cwm('audit', 'verify', '--known', known)).code).toBe(0);
    const rewritten = await cwm(
      'audit',
      'verify',
      '--known',
      known.replace(/.$/, (digit) => (digit === '0' ? '1' : '0')),
    );
    expect(rewritten).toMatchObject({ code: 1, stdout: expect.stringMatching(/^\d+ entries, 1 problem\.\n✗ /) });
    expect(await cwm('audit', 'verify', '--known', 'the first')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('(CWM-1003)'),
    });
  });

  it('which models a server has, and that --model needs a server', async () => {
    const backend = await start();
    const cwm = person(backend);
    const models = await cwm('model', 'list', '--engine', backend.engine);
    expect(models.stdout).toMatch(/^\* \S+\n$/);
    expect(await cwm('model', 'list', '--model', 'other')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('name that as --engine URL'),
    });
  });

  it('the first receipt of a server that new sessions use from now on, or why it could not be tried', async () => {
    const backend = await start();
    const cwm = person(backend);
    expect((await cwm('use', backend.engine)).stdout).toMatch(
      /^New sessions use http.*\n\nIts first receipt:\nReused: \d+ of \d+ tokens /s,
    );
    expect((await cwm('use', 'http://127.0.0.1:9')).stdout).toMatch(
      /^New sessions use http:\/\/127\.0\.0\.1:9\.\n\nIt could not be tried: /,
    );
  });

  it('the same on a terminal, where the progress goes to stderr', async () => {
    const backend = await start();
    await withWindow(backend);
    const cwm = person(backend, true);
    expect(await cwm('verify', 'w')).toMatchObject({ code: 0, stdout: expect.stringMatching(/\S/) });
    expect((await cwm('list')).stdout).toMatch(/^WINDOW .*\nw /);
  });
});
