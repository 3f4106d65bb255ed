import { chmod, lstat, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  aKvRecord,
  aManifest,
  aMessage,
  aSession,
  messageId,
  projectUri,
  sessionId,
  someIds,
  windowName,
  windowsQuery,
} from './builders.ts';
import { fill } from './operations.ts';
import { openTestStore, repair, temporaryDirectory } from './testStore.ts';

const onPosix = it.skipIf(process.platform === 'win32');

/** Permission bits by path. */
async function modesOf(root: string): Promise<Record<string, string>> {
  const modes: Record<string, string> = { '.': ((await lstat(root)).mode & 0o777).toString(8) };
  for (const name of await readdir(root, { recursive: true })) {
    modes[name] = ((await lstat(join(root, name))).mode & 0o777).toString(8);
  }
  return modes;
}

describe('S0-50 S0-60 who and what can reach the files', () => {
  onPosix('every file is 0600 and every directory 0700, also in a directory that was open to all', async () => {
    const directory = await temporaryDirectory();
    await chmod(directory, 0o777);
    const mask = process.umask(0);
    try {
      const store = await openTestStore(directory);
      await fill(store);
      await store.projects.setCurrentSession(projectUri('file:///p'), sessionId('s1'));
      await store.windows.create(aManifest({ mode: 'freeze' }), someIds, aKvRecord());
      await store.sessions.delete(sessionId('s2'));
      await repair(store);
      await store.close();
    } finally {
      process.umask(mask);
    }
    const modes = await modesOf(directory);
    expect(Object.keys(modes).length).toBeGreaterThan(20);
    for (const [path, mode] of Object.entries(modes)) {
      const isDirectory = (await lstat(join(directory, path))).isDirectory();
      expect(mode, path).toBe(isDirectory ? '700' : '600');
    }
  });

  const escapes = [
    '..',
    '../../etc',
    '/etc/passwd',
    'a/b',
    'a\\b',
    '.',
    '',
    'a\0b',
    ' s1',
    'metadata',
    'x'.repeat(200),
  ];

  it.each(escapes)('an id that was only cast is refused as a path: %j', async (id) => {
    const directory = await temporaryDirectory();
    const store = await openTestStore(join(directory, 'store'));
    await store.sessions.create(aSession());
    const refused = { code: expect.stringMatching(/^CWM-10/) as unknown };
    await expect(store.sessions.create(aSession({ id }))).rejects.toMatchObject(refused);
    await expect(store.sessions.get(sessionId(id))).rejects.toMatchObject(refused);
    await expect(store.sessions.delete(sessionId(id))).rejects.toMatchObject(refused);
    await expect(store.windows.create(aManifest({ name: id }), someIds, aKvRecord())).rejects.toMatchObject(refused);
    await expect(store.windows.get(windowName(id))).rejects.toMatchObject(refused);
    await expect(store.windows.delete(windowName(id))).rejects.toMatchObject(refused);
    await expect(store.messages.append(sessionId('s1'), [aMessage(id, 1)])).rejects.toMatchObject(refused);
    await expect(store.messages.load(sessionId('s1'), [messageId(id)])).rejects.toMatchObject(refused);
    await expect(store.sessions.loadTokens(sessionId('s1'), id)).rejects.toMatchObject(refused);
    expect(await readdir(directory)).toEqual(['store']);
  });

  it('names of Windows devices are stored under names that are none', async () => {
    const directory = await temporaryDirectory();
    const store = await openTestStore(directory);
    await store.sessions.create(aSession({ id: 'NUL' }));
    await store.windows.create(aManifest({ name: 'com1', session: 'NUL' }), someIds, aKvRecord());
    expect(await readdir(join(directory, 'contexts'))).toEqual(['NUL~']);
    expect(await readdir(join(directory, 'windows'))).toEqual(['com1~']);
    expect(await store.sessions.get(sessionId('NUL'))).toMatchObject({ id: 'NUL' });
    expect((await store.windows.list(windowsQuery())).items).toMatchObject([{ name: 'com1' }]);
  });

  onPosix('a link in place of a directory is refused, and nothing behind it is touched', async () => {
    const outside = await temporaryDirectory();
    const directory = await temporaryDirectory();
    const store = await openTestStore(directory);
    await fill(store);
    await writeFile(join(outside, 'metadata.json'), 'mine');
    await symlink(outside, join(directory, 'contexts/linked'));
    await symlink(outside, join(directory, 'windows/linked'));
    await rm(join(directory, 'contexts/s2/messages'), { recursive: true });
    await symlink(outside, join(directory, 'contexts/s2/messages'));
    const denied = { code: 'CWM-8001', hint: expect.stringMatching(/follows no links/) };
    await expect(store.sessions.get(sessionId('linked'))).rejects.toMatchObject(denied);
    await expect(store.sessions.delete(sessionId('linked'))).rejects.toMatchObject(denied);
    await expect(store.windows.get(windowName('linked'))).rejects.toMatchObject(denied);
    await expect(store.messages.append(sessionId('s2'), [aMessage('m1', 1)])).rejects.toMatchObject(denied);
    await expect(store.sessions.create(aSession({ id: 'linked' }))).rejects.toMatchObject({ code: 'CWM-3004' });
    expect((await store.sessions.list({ limit: 9, offset: 0 })).items.map((session) => session.id)).toEqual([
      's1',
      's2',
    ]);
    expect(store.problems.map((problem) => problem.path)).toContain('contexts/linked/metadata.json');
    await store.close();
    await rm(join(directory, 'lineages'), { recursive: true });
    await symlink(outside, join(directory, 'lineages'));
    await expect(openTestStore(directory)).rejects.toMatchObject(denied);
    expect(await readdir(outside)).toEqual(['metadata.json']);
    expect(await readFile(join(outside, 'metadata.json'), 'utf8')).toBe('mine');
  });

  onPosix('a link in place of a file is not followed', async () => {
    const outside = await temporaryDirectory();
    const directory = await temporaryDirectory();
    const store = await openTestStore(directory);
    await fill(store);
    const secret = join(outside, 'secret');
    await writeFile(secret, 'secret');
    const replace = async (path: string): Promise<void> => {
      await rm(join(directory, path));
      await symlink(secret, join(directory, path));
    };
    await replace('contexts/s1/metadata.json');
    await replace('contexts/s1/message_index.jsonl');
    await replace('windows/w0/receipts.jsonl');
    const hint = expect.stringContaining('symbolic link') as unknown;
    const read = await store.sessions.get(sessionId('s1')).catch((error: unknown) => error);
    expect(read).toMatchObject({ code: 'CWM-4002', hint });
    await expect(store.receipts.list(windowName('w0'))).rejects.toMatchObject({ code: 'CWM-4002', hint });
    await expect(store.messages.append(sessionId('s1'), [aMessage('m2', 2)])).rejects.toMatchObject({
      code: 'CWM-4001',
      hint,
    });
    expect(await readFile(secret, 'utf8')).toBe('secret');
    // The rest is listed.
    expect((await store.sessions.list({ limit: 9, offset: 0 })).items.map((session) => session.id)).toEqual(['s2']);
    expect((await store.windows.list(windowsQuery())).total).toBe(1);
    expect(store.problems.map((problem) => problem.path).sort()).toEqual([
      'contexts/s1/metadata.json',
      'windows/w0/receipts.jsonl',
    ]);
  });

  onPosix('the storage directory itself may be a link', async () => {
    const directory = await temporaryDirectory();
    await mkdir(join(directory, 'real'));
    await symlink(join(directory, 'real'), join(directory, 'link'));
    const store = await openTestStore(join(directory, 'link'));
    await fill(store);
    expect(await readdir(join(directory, 'real/windows'))).toEqual(['w0']);
  });
});
