import { expect, test } from 'vitest';
import { temporaryDirectories } from '../backend/support/temporaryDirectory.ts';
import { wholeBackends } from '../security/support/wholeBackend.ts';
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
  expect(shown).toMatch(/\nReused so far: .*\n.* messages left; .*\nPages by place: 2 in the prompt, /);
  const [, page = ''] = /^(p1-\w+) +yes +\[user\] The password/m.exec(shown) ?? [];
  expect(await say(me, 'memory', 'show', 's', '--limit', '1')).toContain('2 pages in all (--offset).');
  expect(await say(me, 'memory', 'show', 's', '--at', '2')).toContain('messages are whole in the prompt');

  expect(await say(me, 'memory', 'page', 's', page)).toBe('The password of the barn is marigold.\n');
  expect(await say(me, 'memory', 'pin', 's', page)).toBe(`Page ${page} stays in the prompt.\n`);
  expect(await say(me, 'memory', 'unpin', 's', page)).toBe(`Page ${page} may leave the prompt.\n`);
  expect(await say(me, 'memory', 'why', 's', page)).toMatch(
    /^Page .* was whole in the prompts of the answers 2 to 2\.\n.*pin/,
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
