import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { routes, type RouteName } from '../../src/protocol/api.ts';
import type { CwmError } from '../../src/protocol/errors.ts';
import { encodeRecord, recordFormatVersion } from '../../src/store/disk/record.ts';
import { FakeVllm } from '../fakes/fakeVllm.ts';
import { wholeBackends } from './support/wholeBackend.ts';

const start = wholeBackends();

/** Every file and its content, but for what a backend says of itself. */
async function recordsOf(storage: string): Promise<Record<string, string>> {
  const contents: Record<string, string> = {};
  for (const entry of await readdir(storage, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name.startsWith('backend.')) continue;
    const path = join(entry.parentPath, entry.name);
    contents[path] = (await readFile(path)).toString('base64');
  }
  return contents;
}

describe('S0-23 a store that a later version wrote', () => {
  it('is opened for reading: lists, windows, receipts and conversations, and no change at all', async () => {
    const engine = await FakeVllm.start();
    const first = await start({ engine: engine.url });
    await first.client.call('createSession', { id: 's', project: 'file:///p' });
    await first.client.call('send', { session: 's', text: 'What is ice, and why does it float?', maxTokens: 4 });
    await first.client.call('freeze', { session: 's', window: 'w', checkpoint: true });
    await first.stop();
    const record = encodeRecord({ createdAt: '2030-01-01T00:00:00.000Z' }, recordFormatVersion + 1);
    await writeFile(join(first.storage, 'store.json'), record);
    const before = await recordsOf(first.storage);
    const asked = engine.requests.length;

    const again = await start({ storage: first.storage, engine: engine.url });
    const { client } = again;
    expect((await client.call('listSessions', {})).items.map(({ id }) => id)).toEqual(['s']);
    expect((await client.call('listWindows', {})).items.map(({ name }) => name)).toEqual(['w']);
    expect((await client.call('getWindow', { window: 'w' })).receipts).toHaveLength(1);
    expect((await client.call('listMessages', { session: 's' })).items).toHaveLength(2);
    expect((await client.call('currentSession', { project: 'file:///p' })).session?.id).toBe('s');
    expect(await client.call('verifyAudit', {})).toMatchObject({ healthy: true });
    expect((await client.call('health', {})).status).toBe('degraded');

    const input = {
      id: 'n',
      name: 'n',
      session: 's',
      window: 'w',
      target: 'w2',
      text: 'x',
      answer: 'x',
      content: '[]',
      path: '/nowhere/talk.cwindow',
      offset: 0,
      trusted: true,
      recorded: true,
      paths: [],
      project: 'file:///p',
      from: 'file:///q',
      item: 'i',
      version: 1,
      data: {},
      branch: 'main',
      message: 'm',
      prompt: 'terse',
      page: 'p1',
      importance: 1,
      scope: 'user',
      memoryId: 'u1',
      how: 'append',
      folder: '/nowhere',
      engine: 'embedded',
      expiresAt: '2099-01-01T00:00:00.000Z',
    };
    const changing = (Object.keys(routes) as RouteName[]).filter(
      (name) => routes[name].kind === 'change' && !routes[name].allowedReadOnly,
    );
    expect(changing.length).toBeGreaterThan(8);
    for (const name of changing) {
      const call = client.call(name, { ...input, pinned: true });
      const error = (await call.then(
        () => null,
        (thrown: unknown) => thrown,
      )) as CwmError | null;
      expect(error, name).toMatchObject({
        code: 'CWM-1004',
        message: expect.stringContaining('later version') as unknown,
      });
    }
    expect(engine.requests.length).toBe(asked);
    const { findings } = await client.call('doctor', {});
    expect(findings.find(({ name }) => name === 'changes')).toMatchObject({ state: 'failed' });
    await again.stop();
    expect(await recordsOf(first.storage)).toEqual(before);
    await engine.stop();
  });
});
