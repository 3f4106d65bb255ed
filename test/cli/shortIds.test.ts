import { beforeEach, expect, test } from 'vitest';
import { temporaryDirectories } from '../backend/support/temporaryDirectory.ts';
import { wholeBackends, type WholeBackend } from '../security/support/wholeBackend.ts';
import { outcomeOf, say, type Person } from './support/person.ts';

const start = wholeBackends();
const makeDirectory = temporaryDirectories();
const one = '3f2a1b7c-1d2e-4f3a-8b4c-5d6e7f8a9b0c';
const other = '3f2a99d0-1d2e-4f3a-8b4c-5d6e7f8a9b0c';

let backend: WholeBackend;
let me: Person;
beforeEach(async () => {
  backend = await start();
  me = { storage: backend.storage, cwd: makeDirectory() };
  await backend.client.call('createSession', { id: one, title: 'The parser' });
});

test('the beginning of an id stands for the session in every kind of command, and answers have the whole id', async () => {
  expect(JSON.parse(await say(me, 'session', 'show', '3f2a', '--json'))).toMatchObject({ session: one });
  await say(me, 'send', one.slice(0, 20), 'What is ice?', '--max-tokens', '2');
  await say(me, 'branch', 'new', '3f2a1', 'try');
  await say(me, 'freeze', '3f2a', 'w', '--checkpoint');
  expect(await say(me, 'search', 'ice', '--session', '3f2a')).toContain('ice');
  expect(JSON.parse(await say(me, 'list', '--session', '3f2a', '--json'))).toMatchObject({ total: 1 });
  expect(await say(me, 'export', '3f2a')).toContain('What is ice?');
  expect((await outcomeOf(me, 'chat', '3f2a')).stderr).toContain(`(session ${one})`);
  expect((await outcomeOf(me, 'session', 'delete', '3f2a')).stderr).toMatch(
    new RegExp(`Session "${one}" still has windows: w\\. .*\\n.*--cascade`),
  );
  expect(JSON.parse(await say(me, 'session', 'delete', '3f2a', '--cascade', '--json'))).toMatchObject({ session: one });
  expect((await outcomeOf(me, 'session', 'show', '3f2a')).stderr).toContain('"3f2a"');
});

test('a beginning of several ids is refused with their ids and titles, and changes nothing', async () => {
  await backend.client.call('createSession', { id: other });
  const { code, stdout, stderr } = await outcomeOf(me, 'session', 'delete', '3f2a', '--json');
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  const report = JSON.parse(stderr) as { details: { candidates: object[] } };
  expect(report).toMatchObject({ code: 'CWM-2014', retryable: false });
  expect(report.details.candidates).toHaveLength(2);
  expect(report.details.candidates).toEqual(
    expect.arrayContaining([
      { id: one, title: 'The parser' },
      { id: other, title: other },
    ]),
  );
  expect((await outcomeOf(me, 'session', 'delete', '3f2a')).stderr).toMatch(
    /The ids of 2 sessions begin with "3f2a": .*\(The parser\).*\(CWM-2014\)\n {5}Give more characters of the id/,
  );
  expect(JSON.parse(await say(me, 'session', 'show', '3f2a9', '--json'))).toMatchObject({ session: other });
});

test('a whole id comes first, and fewer than four characters, an id that a person chose, a title or a new id are no beginning', async () => {
  await backend.client.call('createSession', { id: '3f2a', title: 'deed' });
  await backend.client.call('createSession', { id: 'face-2' });
  expect(JSON.parse(await say(me, 'session', 'show', '3f2a', '--json'))).toMatchObject({ session: '3f2a' });
  for (const given of ['3f2', 'face', 'deed', '1b7c']) {
    const { stderr } = await outcomeOf(me, 'session', 'show', given, '--json');
    expect(JSON.parse(stderr)).toMatchObject({ code: 'CWM-2001' });
  }
  await say(me, 'send', one, 'What is ice?', '--max-tokens', '2');
  await say(me, 'freeze', one, 'w', '--checkpoint');
  expect(JSON.parse(await say(me, 'thaw', 'w', '--session', '3f2a1', '--json'))).toMatchObject({ session: '3f2a1' });
});
