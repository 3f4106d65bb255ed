import { lstat, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { routes, type RouteName } from '../../src/protocol/api.ts';
import { shapes } from '../../src/protocol/routes/shapes.ts';
import type { CwmError } from '../../src/protocol/errors.ts';
import { temporaryDirectories } from '../backend/support/temporaryDirectory.ts';
import { wholeBackends, type WholeBackend } from './support/wholeBackend.ts';

const onPosix = it.skipIf(process.platform === 'win32');

/** Fields that become part of a path, in every route that has one. */
const idFields = ['id', 'session', 'window', 'target', 'item'] as const;
const idRoutes = (Object.keys(routes) as RouteName[]).flatMap((name) => {
  const shape = shapes[name].input.shape;
  return idFields.filter((field) => field in shape).map((field) => ({ name, field }));
});

const good = {
  session: 's',
  name: 'n',
  window: 'w',
  text: 'x',
  answer: 'x',
  paths: ['a'],
  pinned: true,
  page: 'p1',
  importance: 1,
  scope: 'session',
  memoryId: 's1',
  item: 'x',
  project: 'file:///p',
  recorded: true,
  data: {},
  folder: '/',
  directory: '/',
  from: 'file:///q',
  expiresAt: '2999-01-01T00:00:00Z',
  branch: 'main',
  message: 'm',
  how: 'append',
  path: '/nowhere/talk.cwindow',
  offset: 0,
  content: '[{"role":"user","content":"Hello."}]',
  format: 'openai',
};

/** Where a name means something else. */
const different: Partial<Record<RouteName, object>> = {
  updateState: { version: 1 },
  tokenUsage: { from: '2026-01-01' },
};
const inputOf = (name: RouteName): Record<string, unknown> => ({ ...good, ...different[name] });

/** Answered from memory after a turn, or from figures that the session's folder has no part in: nothing is followed. */
const remembered: ReadonlySet<RouteName> = new Set(['getState', 'selectSession', 'tokenUsage']);

const escapes = [
  '..',
  '../outside',
  '../../../../../../etc/passwd',
  '/etc/passwd',
  '..\\outside',
  'C:\\Windows',
  'a/../../outside',
  'a\0b',
  '.',
  '%2e%2e%2foutside',
  '..%2foutside',
  '%252e%252e%252foutside',
  '．．／outside',
  '~',
  'metadata.json',
];

/** Every file below with its content, and what each link points to. */
async function contentsOf(directory: string): Promise<Record<string, string>> {
  const contents: Record<string, string> = {};
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) contents[path] = await readFile(path, 'utf8');
  }
  return contents;
}

interface Filled extends WholeBackend {
  /** A folder beside the storage that nothing may reach. */
  readonly outside: string;
}

type After = Parameters<typeof wholeBackends>[0];

/** Starts backends with a session `s` and its window `w`. */
function filledBackends(after?: After): () => Promise<Filled> {
  const start = wholeBackends(after);
  const makeDirectory = temporaryDirectories(after);
  return async () => {
    const parent = makeDirectory();
    const outside = join(parent, 'outside');
    await mkdir(outside);
    await writeFile(join(outside, 'metadata.json'), 'a secret of somebody else');
    const backend = await start({ storage: join(parent, 'storage') });
    await backend.client.call('createSession', { id: 's', project: 'file:///p' });
    await backend.client.call('send', { session: 's', text: 'What is ice?', maxTokens: 2 });
    await backend.client.call('freeze', { session: 's', window: 'w', checkpoint: true });
    return { ...backend, outside };
  };
}

/** With the path's parameters as they are given or encoded once more. */
async function ask(
  { raw }: Pick<WholeBackend, 'raw'>,
  name: RouteName,
  input: Record<string, unknown>,
  encode: boolean,
) {
  const { method, path } = routes[name];
  const filledPath = path.replaceAll(/:(\w+)/g, (_, field: string) => {
    const value = String(input[field]);
    return encode ? encodeURIComponent(value) : value.replaceAll(/[\0 ]/g, '%00');
  });
  const request = { method, path: filledPath.replaceAll(/[^\x20-\x7e]/g, encodeURIComponent) };
  if (method === 'POST') return raw({ ...request, body: JSON.stringify(input) });
  const query = new URLSearchParams(
    Object.entries(input).map(([key, value]): [string, string] => [key, String(value)]),
  );
  return raw({ ...request, path: `${request.path}?${query.toString()}` });
}

describe('S0-60 ids that try to leave the storage directory', () => {
  // One for all routes: each of them refuses, and none changes anything.
  const fill = filledBackends(afterAll);
  let backend: Filled;
  beforeAll(async () => void (backend = await fill()));

  it.each(idRoutes)('$name refuses them as its $field', async ({ name, field }) => {
    const before = await contentsOf(backend.outside);
    const siblings = await readdir(join(backend.storage, '..'));
    for (const escape of escapes) {
      for (const encode of [true, false]) {
        const answer = await ask(backend, name, { ...inputOf(name), [field]: escape }, encode);
        const shown = `${name} ${field}=${JSON.stringify(escape)} → ${answer.status} ${answer.body.slice(0, 300)}`;
        // Not encoded, a path may be another route by then, which answers in its own way.
        if (encode || !routes[name].path.includes(`:${field}`)) {
          expect(answer.status, shown).toBeGreaterThanOrEqual(400);
          expect(answer.body, shown).toMatch(/CWM-(100\d|2\d{3})/);
        }
        expect(answer.body, shown).not.toMatch(/secret|root:/);
      }
    }
    expect(await contentsOf(backend.outside)).toEqual(before);
    expect(await readdir(join(backend.storage, '..'))).toEqual(siblings);
    const stored = await readdir(backend.storage, { recursive: true });
    expect(stored.filter((path) => /outside|passwd|Windows/.test(path))).toEqual([]);
  });

  it('all of that leaves the session and its window as they were', async () => {
    const { client } = backend;
    expect((await client.call('listSessions', {})).items.map(({ id }) => id)).toEqual(['s']);
    expect((await client.call('listWindows', {})).items.map(({ name }) => name)).toEqual(['w']);
    const { steps } = await client.call('verify', {});
    expect(steps.flatMap(({ problems }) => problems)).toEqual([]);
  });
});

describe('S0-60 links in the storage directory', () => {
  const codeOf = async (call: Promise<unknown>): Promise<string> =>
    call.then(
      () => 'done',
      (error: unknown) => (error as CwmError).code,
    );

  const linkInTrash = '20260101T000000000Z-session-x';
  // One for all routes, since none changes anything.
  const fill = filledBackends(afterAll);
  let linked: Filled;
  beforeAll(async () => {
    if (process.platform === 'win32') return;
    linked = await fill();
    const { storage, outside } = linked;
    // Behind the links lies a whole session and a whole window: they would be believed.
    await rename(join(storage, 'contexts/s'), join(outside, 's'));
    await rename(join(storage, 'windows/w'), join(outside, 'w'));
    await symlink(join(outside, 's'), join(storage, 'contexts/s'));
    await symlink(join(outside, 'w'), join(storage, 'windows/w'));
    await symlink(outside, join(storage, 'trash', linkInTrash));
  });
  const filled = filledBackends();
  const start = wholeBackends();

  onPosix.each(idRoutes.filter(({ name }) => name !== 'listWindows'))(
    '$name follows none that has the name of its $field',
    async ({ name, field }) => {
      const { storage, outside, client } = linked;
      const before = await contentsOf(outside);
      const input = { ...inputOf(name), target: 'w', id: 's', item: linkInTrash };
      const code = await codeOf(client.call(name, input));
      if (code !== 'done' || !remembered.has(name)) {
        expect(code, `${name} ${field}`).toMatch(/^CWM-(8001|3003|3004|2009)$/);
      }
      expect(await contentsOf(outside)).toEqual(before);
      for (const path of ['contexts/s', 'windows/w'])
        expect((await lstat(join(storage, path))).isSymbolicLink()).toBe(true);
    },
  );

  onPosix('lists show the rest', async () => {
    const { storage, outside, client } = await filled();
    await client.call('createSession', { id: 's2' });
    await rename(join(storage, 'contexts/s'), join(outside, 's'));
    await symlink(join(outside, 's'), join(storage, 'contexts/s'));
    expect((await client.call('listSessions', {})).items.map(({ id }) => id)).toContain('s2');
    expect((await client.call('health', {})).status).not.toBe('unhealthy');
  });

  onPosix(
    'one in place of a folder of the store keeps the backend from starting, and nothing is written behind it',
    async () => {
      const { storage, outside, stop, engine } = await filled();
      await stop();
      for (const folder of [
        'contexts',
        'windows',
        'lineages',
        'projects',
        'intents',
        'audit',
        'tmp',
        'trash',
        'quarantine',
      ]) {
        const aside = join(outside, `real-${folder}`);
        await rename(join(storage, folder), aside);
        await symlink(outside, join(storage, folder));
        const before = await contentsOf(outside);
        await expect(start({ storage, engine }), folder).rejects.toMatchObject({ code: 'CWM-8001' });
        expect(await contentsOf(outside), folder).toEqual(before);
        await rm(join(storage, folder));
        await rename(aside, join(storage, folder));
      }
    },
  );
});
