import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { Clients } from '../../src/gateway/clients/clients.ts';
import { temporaryDirectories } from '../backend/support/temporaryDirectory.ts';
import { runInProcess } from '../cli/support/fakeTerminal.ts';

const makeDirectory = temporaryDirectories();
const now = '2026-11-29T12:00:00.000Z';

async function clientsOf(file: string) {
  const failures: string[] = [];
  const clients = new Clients(file, (_, what) => failures.push(what));
  await clients.load();
  return { clients, failures };
}
const inFile = (file: string): string[] => Object.keys(JSON.parse(readFileSync(file, 'utf8')) as object);

describe('the file of the clients', () => {
  test('has every client of changes that come at once, and gives each its token to the next process', async () => {
    const file = path.join(makeDirectory(), 'gateway', 'clients.json');
    const { clients } = await clientsOf(file);
    const names = ['a', 'b', 'c'];
    const put = await Promise.all(names.map((name) => clients.put(name, {}, now)));
    expect(inFile(file)).toEqual(names);
    const { clients: next } = await clientsOf(file);
    expect(put.map(({ token }) => next.of(token ?? '')?.name)).toEqual(names);
    await Promise.all([
      next.delete('a'),
      next.put('d', {}, now),
      next.put('b', { records: false, rotate: false }, now),
    ]);
    expect(inFile(file).sort()).toEqual(['b', 'c', 'd']);
    expect(next.of(put[1]?.token ?? '')).toMatchObject({ name: 'b', records: false });
  });

  test.each(['{"a": {', '[]', '{"a": {"tokenHash": 5}}'])(
    'that is damaged (%s) stays beside, and is told',
    async (text) => {
      const folder = makeDirectory();
      const file = path.join(folder, 'clients.json');
      writeFileSync(file, text);
      const { clients, failures } = await clientsOf(file);
      expect(failures).toHaveLength(1);
      await clients.put('b', {}, now);
      const aside = readdirSync(folder).find((name) => name.startsWith('clients.json.damaged-'));
      expect(readFileSync(path.join(folder, aside ?? ''), 'utf8')).toBe(text);
      expect(inFile(file)).toEqual(['b']);
    },
  );

  test('says when a token or a right to tools ends, and for what else it does not', async () => {
    const file = path.join(makeDirectory(), 'clients.json');
    const { clients } = await clientsOf(file);
    const ended: string[] = [];
    clients.ended.subscribe((name) => ended.push(name));
    await clients.put('a', {}, now);
    await clients.put('a', { records: false, rotate: false }, now);
    await clients.put('a', { tools: 'all', rotate: false }, now);
    expect(ended).toEqual([]);
    await clients.put('a', { tools: 'read', rotate: false }, now);
    await clients.put('a', {}, now);
    expect(clients.named('a')).toMatchObject({ tools: 'read', records: false });
    await clients.delete('a');
    expect(ended).toEqual(['a', 'a', 'a']);
  });

  test.each([
    [{}, 'all'],
    [{ tools: 'all' }, 'all'],
    [{ tools: 'read' }, 'read'],
    [{ tools: 'most' }, 'read'],
  ])('that says %j of the tools of a client lets it call: %s', async (said, tools) => {
    const file = path.join(makeDirectory(), 'clients.json');
    writeFileSync(file, JSON.stringify({ a: { tokenHash: '0'.repeat(64), createdAt: now, ...said } }));
    expect((await clientsOf(file)).clients.named('a')?.tools).toBe(tools);
  });

  test('that cannot be read costs only the tokens, and is not replaced', async () => {
    const file = path.join(makeDirectory(), 'clients.json');
    mkdirSync(file);
    const { clients, failures } = await clientsOf(file);
    expect(failures).toHaveLength(1);
    await expect(clients.put('b', {}, now)).rejects.toMatchObject({ name: 'ReadFailed' });
    expect(clients.named('b')).toBeNull();
  });

  test('gets no client by a change of one that is not there', async () => {
    const file = path.join(makeDirectory(), 'clients.json');
    const { clients } = await clientsOf(file);
    await expect(clients.put('b', { records: true, rotate: false }, now)).rejects.toThrow('no client "b"');
    expect(existsSync(file)).toBe(false);
  });

  test.each(['Off', 'no', 'false', ''])(
    'cwm clients record NAME "%s" is refused, and changes nothing',
    async (choice) => {
      const { code, stderr } = await runInProcess('clients', 'record', 'work', choice, '--storage', makeDirectory());
      expect(code).not.toBe(0);
      expect(stderr).toContain('on, off');
    },
  );
});
