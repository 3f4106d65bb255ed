import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { temporaryDirectories } from '../backend/support/temporaryDirectory.ts';
import { wholeBackends, type WholeBackend } from '../security/support/wholeBackend.ts';
import { outcomeOf, say } from './support/person.ts';

const start = wholeBackends();
const makeDirectory = temporaryDirectories();

test('cwm memory shows what the prompt has, reads and pins a page, and says why it is there', async () => {
  const { storage, client } = await start();
  const me = { storage, cwd: makeDirectory() };
  await client.call('createSession', { id: 's', memory: { enableVm: true } });
  await client.call('send', { session: 's', text: 'The password of the barn is marigold.', maxTokens: 2 });

  const shown = await say(me, 'memory', 'show', 's');
  expect(shown).toMatch(/^Virtual memory is on\.\n2 of 2 messages are whole in the prompt: /);
  expect(shown).toMatch(/\nReused so far: .*\n.* messages left the prompt, .*\nPages: 2 in the prompt, /);
  expect(shown).toMatch(/\nSearches go by words alone: .+\n/);
  const [, page = ''] = /^(p1-\w+) +yes +\[user\] The password/m.exec(shown) ?? [];
  expect(await say(me, 'memory', 'show', 's', '--limit', '1')).toContain('2 pages in all (--offset).');
  expect(await say(me, 'memory', 'show', 's', '--at', '2')).toContain('messages are whole in the prompt');

  expect(await say(me, 'memory', 'page', 's', page)).toBe('The password of the barn is marigold.\n');
  expect(await say(me, 'memory', 'pin', 's', page)).toBe(`Page ${page} stays in the prompt.\n`);
  expect(await say(me, 'memory', 'unpin', 's', page)).toBe(`Page ${page} may leave the prompt.\n`);
  const weigh = (importance: string) => outcomeOf(me, 'memory', 'importance', 's', page, importance);
  expect(await weigh('0.95')).toMatchObject({ code: 0, stdout: `Page ${page} has the importance 0.95.\n` });
  expect(await weigh('role')).toMatchObject({ code: 0, stdout: `Page ${page} has the importance 0.6.\n` });
  expect((await weigh('1.1')).stderr).toContain('a number from 0 to 1, or "role"');
  expect(await say(me, 'memory', 'why', 's', page)).toMatch(
    /: importance 0\.95 by user\n.*: importance of its role by user/,
  );
  expect(await say(me, 'memory', 'why', 's', page)).toMatch(
    /^Page .* was whole in the prompt of answer 2\.\n\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC: pin/,
  );
  expect((await outcomeOf(me, 'memory', 'fault', 's', page)).stderr).toContain('is in the prompt already');

  const found = await outcomeOf(me, 'search', '--recall', 'What is the password of the barn?', '--session', 's');
  expect(found).toMatchObject({ code: 0, stderr: expect.stringMatching(/^\d pages?\.\n$/) as unknown });
  expect(found.stdout).toContain(`user, page ${page} (s)\n  The password of the barn is marigold.\n`);
});

test('cwm memory remembers, lists, edits and forgets texts of a project', async () => {
  const me = { storage: (await start()).storage, cwd: makeDirectory() };
  expect(await say(me, 'memory', 'list')).toBe('Nothing is remembered ("cwm memory remember").\n');
  expect(await say(me, 'memory', 'remember', 'Tabs, not spaces.')).toBe('Remembered as p1 for the project.\n');
  expect(await say(me, 'memory', 'remember', 'Short answers.', '--scope', 'user')).toBe(
    'Remembered as u1 for the user.\n',
  );
  expect(await say(me, 'memory', 'edit', 'p1', 'Spaces, not tabs.')).toBe('p1 has version 2 now.\n');
  expect(await say(me, 'memory', 'list')).toMatch(/p1 +project +2 +Spaces, not tabs\./);
  expect(await say(me, 'memory', 'forget', 'p1')).toBe('Forgot p1: Spaces, not tabs.\n');
  expect(await say(me, 'memory', 'list')).not.toContain('p1');
});

test('cwm session set changes of the memory what it says, and keeps the rest', async () => {
  const { storage, client } = await start();
  const me = { storage, cwd: makeDirectory() };
  await client.call('createSession', { id: 's' });
  const memory = async () => (await client.call('getSession', { session: 's' })).settings?.memory;
  const refused = await outcomeOf(me, 'session', 'set', 's', '--memory-mode', 'passive');
  expect(refused.stderr).toContain('--memory on');
  const set = (...options: string[]) => say(me, 'session', 'set', 's', ...options);
  await set('--memory', 'on', '--memory-policy', 'lru', '--memory-mode', 'strict');
  await set('--memory', 'on', '--memory-tokens', '8000');
  expect(await memory()).toEqual({ enableVm: true, policy: 'lru', vmMode: 'strict', maxL0Tokens: 8000 });
  expect(await set('--memory-mode', 'passive')).toMatch(
    /\n +Memory +on, requests of at most 8,000 tokens, policy lru, passive\n/,
  );
  expect(await memory()).toEqual({ enableVm: true, policy: 'lru', vmMode: 'passive', maxL0Tokens: 8000 });
  expect(await set('--memory', 'off')).not.toContain('Memory');
  expect(await memory()).toBeUndefined();
});

test('cwm memory remembers of a tool, and a session that is created with memories begins with them', async () => {
  const { storage, client } = await start();
  const me = { storage, cwd: makeDirectory() };
  expect(await say(me, 'memory', 'remember', 'Paths are relative.', '--scope', 'tool', '--tool', 'read_file')).toBe(
    'Remembered as t1 for the tool.\n',
  );
  expect(await say(me, 'memory', 'list')).toMatch(/t1 +tool read_file +1 +Paths are relative\./);
  await say(me, 'session', 'new', '--id', 's', '--memories');
  await say(me, 'send', 's', 'Hi', '--max-tokens', '2');
  const { items } = await client.call('listMessages', { session: 's' });
  expect(JSON.stringify(items[0]?.content)).toContain('Tool read_file: Paths are relative.');
});

test('S1-45 a backend that was started with a policy from a file has sessions that name it', async () => {
  const file = `${makeDirectory()}/mine.mjs`;
  writeFileSync(file, `export default { name: 'shortest-first', score: ({ tokens }) => tokens };`);
  const { storage, client } = await start({ memoryPolicyFile: file });
  const me = { storage, cwd: makeDirectory() };
  await say(me, 'session', 'new', '--id', 's', '--memory', 'on', '--memory-policy', 'shortest-first');
  expect((await client.call('memoryState', { session: 's' })).policies).toContain('shortest-first');
  const unknown = await outcomeOf(me, 'session', 'set', 's', '--memory-policy', 'other');
  expect(unknown.stderr).toContain('kv-aware, importance-weighted-lru, lru, modality-aware-lru, shortest-first');
});

test('an archive of a conversation is exported and brought back: its pages have their ids, what left has left, and it comes back', async () => {
  const one = await start();
  const file = `${makeDirectory()}/talk.cwindow`;
  const me = { storage: one.storage, cwd: makeDirectory() };
  await one.client.call('createSession', { id: 's', memory: { enableVm: true, maxL0Tokens: 1024 } });
  for (let turn = 0; turn < 8; turn++)
    await one.client.call('send', { session: 's', text: `Turn ${turn}: ${'filler '.repeat(100)}`, maxTokens: 4 });
  const pages = async ({ client }: WholeBackend, session: string) =>
    (await client.call('memoryState', { session })).pages.map(({ id, tier }) => `${id} ${tier === 'L0'}`);
  const before = await pages(one, 's');
  expect(before.filter((each) => each.endsWith('false')).length).toBeGreaterThan(0);
  await say(me, 'export', 's', '--format', 'cwindow', '--output', file);
  const other = await start();
  const you = { storage: other.storage, cwd: makeDirectory() };
  await say(you, 'import', file, '--id', 't');
  expect(await pages(other, 't')).toEqual(before);
  const [first = ''] = before[0]?.split(' ') ?? [];
  expect(await say(you, 'memory', 'page', 't', first)).toContain(`Turn 0: ${'filler '.repeat(99)}`);
  expect(await say(you, 'memory', 'why', 't', first)).toContain('It left with s1');
  await say(you, 'session', 'set', 't', '--memory-tokens', '4096');
  await say(you, 'memory', 'fault', 't', first);
  expect((await outcomeOf(you, 'memory', 'fault', 't', first)).stderr).toContain('is in the prompt already, as p');
});
