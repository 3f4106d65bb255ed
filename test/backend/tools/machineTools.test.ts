import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MachineTools } from '../../../src/backend/tools/machineTools.ts';
import { parseProjectUri, type ProjectUri } from '../../../src/protocol/ids.ts';
import { temporaryDirectories } from '../support/temporaryDirectory.ts';
import { eventually } from '../../support/eventually.ts';

const require = createRequire(import.meta.url);
/** The program of a package, as its package.json names it. */
function programOf(name: string): string {
  const manifest = require.resolve(`${name}/package.json`);
  const { bin } = require(manifest) as { bin: Record<string, string> };
  return join(dirname(manifest), Object.values(bin)[0]!);
}
const bad = fileURLToPath(new URL('badMcpServer.mjs', import.meta.url));

const makeDirectory = temporaryDirectories();
const never = new AbortController().signal;
let folder: string;
let project: ProjectUri;
let userConfig: string;
let isTrusted: boolean;
let tools: MachineTools;

beforeEach(() => {
  folder = makeDirectory();
  project = parseProjectUri(pathToFileURL(folder).href);
  userConfig = join(makeDirectory(), 'mcp.json');
  isTrusted = false;
  tools = new MachineTools({ userConfig, isTrusted: async () => isTrusted });
});
afterEach(() => tools.close());

const write = (path: string, text: string): void => {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
};
const node = (...args: string[]) => ({ command: process.execPath, args });
const call = (name: string, given: object = {}, signal = never) => tools.call(project, name, { ...given }, signal);
const names = async (): Promise<string[]> => (await tools.list(project, never)).tools.map(({ name }) => name);

describe('the workspace tools', () => {
  beforeEach(() => {
    write('src/a.ts', 'export const answer = 42;\nexport const Other = 1;\n');
    write('.gitignore', 'build/\n');
    mkdirSync(join(folder, '.git'));
    write('build/out.js', 'answer');
    write('.env', 'KEY=answer');
    write('long.txt', 'line\n'.repeat(20_000));
    writeFileSync(join(folder, 'binary'), Buffer.from([0, 1, 2]));
  });

  test('S4-14 list, read and search the project, and leave out what git ignores and what may be secret', async () => {
    expect(await names()).toEqual(['list_files', 'read_file', 'search_files']);
    expect(await call('list_files')).toEqual({ text: '.gitignore\nbinary\nlong.txt\nsrc/a.ts', hasFailed: false });
    expect((await call('read_file', { path: 'src/a.ts', from: 2, lines: 1 })).text).toBe('export const Other = 1;');
    expect((await call('search_files', { text: 'ANSWER' })).text).toBe('src/a.ts:1: export const answer = 42;');
    const long = (await call('read_file', { path: 'long.txt' })).text;
    expect(long.length).toBeLessThan(33_000);
    expect(long).toMatch(/Cut behind line \d+ of 20001/);
  });

  test.each([
    ['../secret', 'outside'],
    ['/etc/passwd', 'outside'],
    ['link', 'outside'],
    ['none', 'There is no'],
    ['build/out.js', 'ignored by git'],
    ['.env', 'secrets'],
    ['.git/config', 'There is no'],
    ['binary', 'no text file'],
    ['src', 'no text file'],
  ])('S4-14 nothing is read of %s', async (path, why) => {
    symlinkSync('/etc/hosts', join(folder, 'link'));
    const { text, hasFailed } = await call('read_file', { path });
    expect(hasFailed).toBe(true);
    expect(text).toContain(why);
  });

  test('a search that leaves files out says so', async () => {
    for (let at = 0; at <= 5000; at++) writeFileSync(join(folder, 'src', `f${at}`), 'x');
    expect((await call('search_files', { text: 'nowhere', path: 'src' })).text).toBe(
      'Nothing was found.\n[Only the first 5,000 files were searched: name a folder.]',
    );
  });

  test('a file that is swapped for a link, after it was checked, is not read', async () => {
    const secret = join(makeDirectory(), 'secret');
    writeFileSync(secret, 'the secret');
    const [path, swap] = [join(folder, 'src', 'swapped'), join(folder, 'swap')];
    const over = new AbortController();
    const swapping = (async () => {
      while (!over.signal.aborted) {
        for (const make of [() => symlinkSync(secret, swap), () => writeFileSync(swap, 'harmless')]) {
          make();
          renameSync(swap, path);
          await new Promise(setImmediate);
        }
      }
    })();
    const read = new Set<string>();
    for (let round = 0; round < 150; round++) read.add((await call('read_file', { path: 'src/swapped' })).text);
    over.abort();
    await swapping;
    expect([...read].filter((text) => text.includes('secret'))).toEqual([]);
  });

  test('arguments of another form are refused in words', async () => {
    expect(await call('read_file', { path: 5 })).toMatchObject({
      hasFailed: true,
      text: expect.stringContaining('"path"'),
    });
  });
});

describe('MCP servers', () => {
  test('of the user and of a trusted folder are started, real ones nobody here wrote, and their tools work', async () => {
    write('notes/today.txt', 'Buy milk.');
    writeFileSync(
      userConfig,
      `{ // the user's own
        "servers": { "all": ${JSON.stringify({ type: 'stdio', ...node(programOf('@modelcontextprotocol/server-everything')) })}, } }`,
    );
    write(
      '.vscode/mcp.json',
      JSON.stringify({
        servers: { fs: node(programOf('@modelcontextprotocol/server-filesystem'), '${workspaceFolder}') },
      }),
    );
    const before = await tools.list(project, never);
    expect(before.tools.some(({ name }) => name.startsWith('fs_'))).toBe(false);
    expect(before.notes).toEqual([expect.stringContaining('have not trusted')]);
    isTrusted = true;
    const { tools: found, notes } = await tools.list(project, never);
    expect(notes).toEqual([]);
    const byName = new Map(found.map((tool) => [tool.name, tool]));
    expect(byName.get('fs_read_text_file')).toMatchObject({ readsOnly: true });
    expect(byName.get('fs_write_file')).toMatchObject({ readsOnly: false, isDestructive: true });
    expect([...byName.keys()]).toEqual([...byName.keys()].sort());
    expect(await call('all_echo', { message: 'hello' })).toEqual({ text: 'Echo: hello', hasFailed: false });
    expect(await call('fs_read_text_file', { path: join(folder, 'notes/today.txt') })).toMatchObject({
      text: 'Buy milk.',
    });
    const outside = await call('fs_read_text_file', { path: '/etc/passwd' });
    expect(outside).toMatchObject({ hasFailed: true, text: expect.stringMatching(/denied|outside/i) });
  });

  test('that are still starting hold up no end, and none is started after it', async () => {
    const servers = { silent: node('-e', 'setInterval(() => {}, 1000)') };
    writeFileSync(userConfig, JSON.stringify({ servers }));
    const listing = tools.list(project, never);
    await eventually(async () =>
      expect((await import('../../../src/backend/tools/mcpServer.ts')).McpServer).toBeDefined(),
    );
    await tools.close();
    expect((await listing).notes).toEqual([expect.stringContaining('"silent" cannot be used')]);
    expect((await tools.list(project, never)).notes).toEqual([expect.stringContaining('The backend ends')]);
  });

  test('that cannot be used cost only themselves, and say why', async () => {
    const servers = {
      gone: { command: join(folder, 'no-such-program') },
      dies: node('-e', 'console.error("no licence"); process.exit(1)'),
      asks: { command: 'x', args: ['${input:token}'] },
      odd: { image: 'x' },
      bad: node(bad),
    };
    writeFileSync(userConfig, JSON.stringify({ servers }));
    const { tools: found, notes } = await tools.list(project, never);
    expect(found.map(({ name }) => name)).toContain('bad_fine');
    expect(notes.toSorted()).toEqual([
      expect.stringContaining('"asks" of'),
      expect.stringContaining('"dies" cannot be used'),
      expect.stringContaining('"gone" cannot be used'),
      expect.stringContaining('"odd" of'),
    ]);
    writeFileSync(userConfig, 'no JSON at all');
    expect((await tools.list(project, never)).notes).toEqual([`${userConfig} is no list of MCP servers.`]);
  });

  test('S4-14 arguments that do not fit the schema reach no server, and the model is told what is wrong', async () => {
    writeFileSync(userConfig, JSON.stringify({ servers: { bad: node(bad) } }));
    expect(await call('bad_picky', { level: 'low', times: 2 })).toMatchObject({ text: 'whatever you say' });
    for (const [given, told] of [
      [{}, "must have required property 'level'"],
      [{ level: 'middle' }, 'must be equal to one of the allowed values'],
      [{ level: 'low', times: 0 }, 'must be >= 1'],
    ] as const) {
      const { text, hasFailed } = await call('bad_picky', given);
      expect(hasFailed).toBe(true);
      expect(text).toContain(told);
      expect(text).toContain('The tool did not run.');
    }
    // A schema that is none is the server's own affair.
    expect(await call('bad_odd_schema', { a: 1 })).toMatchObject({ text: 'fine' });
  });

  test('a server that floods, writes garbage, hangs or answers another call holds up nothing; one that dies is started again', async () => {
    writeFileSync(userConfig, JSON.stringify({ servers: { bad: node(bad) } }));
    expect((await call('bad_flood')).text).toHaveLength(3_000_000);
    expect(await call('bad_garbage')).toMatchObject({ text: 'behind garbage' });
    for (const name of ['bad_hang', 'bad_wrong_id']) {
      const late = new AbortController();
      const waiting = call(name, {}, late.signal);
      expect(await call('bad_fine')).toMatchObject({ text: 'fine' });
      late.abort();
      await expect(waiting).rejects.toThrow();
    }
    await expect(call('bad_die')).rejects.toThrow();
    expect(await call('bad_fine')).toMatchObject({ text: 'fine' });
  });
});
