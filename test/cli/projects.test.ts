import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { temporaryDirectories } from '../backend/support/temporaryDirectory.ts';
import { wholeBackends } from '../security/support/wholeBackend.ts';
import { outcomeOf, say } from './support/person.ts';

const start = wholeBackends();
const makeDirectory = temporaryDirectories();
const facts = Array.from({ length: 40 }, (_, at) => `export const fact${at} = ${at * 7919};`).join('\n');

test('cwm project shows and lists projects, stops their checkpoints, and adopts one whose folder moved', async () => {
  const { storage } = await start();
  const place = makeDirectory();
  const folder = join(place, 'first');
  mkdirSync(join(folder, '.cwm'), { recursive: true });
  writeFileSync(
    join(folder, '.cwm/config.json'),
    JSON.stringify({ version: '1.0', project: { name: 'first', id: '0b9e6a52-7a57-4c2c-9d0c-6d3f0a3f7f11' } }),
  );
  const me = { storage, cwd: folder };
  expect(await say(me, 'project', 'list')).toBe('There are no projects. A session with "--project" makes one.\n');
  await say(me, 'session', 'new', '--id', 's', '--project', '.');
  expect(await say(me, 'project', 'show')).toMatch(/Automatic saves +checkpoints\n +Sessions +1\n/);
  expect(await say(me, 'project', 'list')).toMatch(/^NAME +SESSIONS +FOLDER\nfirst +1 +[^:]+\n$/);

  expect(await say(me, 'project', 'record', 'off')).toMatch(
    /is saved without being asked for\. 0 checkpoints deleted\.\n$/,
  );
  expect(await say(me, 'project', 'show')).toMatch(/Automatic saves +nothing\n/);
  expect(await say(me, 'project', 'record', 'on')).toMatch(/^Checkpoints of .* are made without being asked for\.\n$/);

  renameSync(folder, join(place, 'second'));
  const there = { storage, cwd: join(place, 'second') };
  expect(await say(there, 'project', 'show')).toMatch(/It may be .*first, which no longer exists: .*1 session\. /);
  expect(await say(there, 'project', 'adopt', pathToFileURL(folder).href, '--yes')).toContain('1 session');
  expect(await say(there, 'project', 'list')).toMatch(/ 1 +\/.*second\n/);
});

test('cwm session new, as cwm chat, begins in the project of the folder in which it runs, also below it, and on its base', async () => {
  const { storage, client } = await start();
  const folder = makeDirectory();
  const below = join(folder, 'src');
  mkdirSync(below);
  writeFileSync(join(folder, 'facts.ts'), facts);
  const me = { storage, cwd: folder };
  expect(await say(me, 'session', 'new', '--id', 'first')).toMatch(/^Created session first on \S+\.\n$/);
  expect(await say(me, 'project', 'list')).toMatch(/^There are no projects\./);

  mkdirSync(join(folder, '.cwm'));
  // Nobody trusts the folder: it chooses no model server.
  const config = { version: '1.0', project: { name: 'first' }, engine: 'http://127.0.0.1:9' };
  writeFileSync(join(folder, '.cwm/config.json'), JSON.stringify(config));
  expect(await say(me, 'session', 'new', '--id', 'empty')).toMatch(
    new RegExp(
      `^Created session empty on \\S+\\. It belongs to ${folder} and begins without a base\\.\\n  · .*trust.*\\n$`,
    ),
  );
  await say(me, 'base', 'make', 'facts.ts');
  const inside = { storage, cwd: below };
  expect(await say(inside, 'session', 'new', '--id', 's')).toMatch(
    new RegExp(`It belongs to ${folder} and continues the KV of its base \\([\\d,]+ tokens\\)\\.\\n`),
  );
  expect(await client.call('getSession', { session: 's' })).toMatchObject({ project: pathToFileURL(folder).href });
  expect(await say(inside, 'session', 'new', '--id', 'own', '--no-base')).toContain(
    `${folder} and begins without a base.`,
  );
  expect((await outcomeOf({ ...inside, lines: [] }, 'chat')).stderr).toMatch(/^Session own: /);

  expect(await say(inside, 'session', 'new', '--id', 'out', '--no-project')).toMatch(
    /^Created session out on \S+\.\n$/,
  );
  expect(await client.call('getSession', { session: 'out' })).toMatchObject({ project: null });
});

test('cwm session move takes a session into another project and out of all, and set gives it an expiry', async () => {
  const { storage, client } = await start();
  const me = { storage, cwd: makeDirectory() };
  await client.call('createSession', { id: 's', title: 'Talk' });
  expect(await say(me, 'session', 'move', 's')).toBe(`"Talk" belongs to ${me.cwd} now.\n`);
  expect(await say(me, 'session', 'move', 's', '--out')).toBe('"Talk" belongs to no project now.\n');
  expect((await outcomeOf(me, 'session', 'move', 's', '.', '--out')).code).toBe(2);
  expect((await outcomeOf(me, 'session', 'set', 's')).stderr).toContain('Say what to change');
  expect(await say(me, 'session', 'set', 's', '--expires-in', '2d')).toMatch(/^Session s expires /);
  expect(await say(me, 'session', 'set', 's', '--never-expires')).toBe('Session s does not expire.\n');
  expect(await say(me, 'session', 'set', 's', '--title', 'Chat')).toContain('Chat');
});

test('cwm base makes the base of a project, says what changed since, renews it, moves a session to it, and deletes it', async () => {
  const { storage } = await start();
  const folder = makeDirectory();
  writeFileSync(join(folder, 'facts.ts'), facts);
  writeFileSync(join(folder, 'more.ts'), facts);
  const me = { storage, cwd: folder };
  expect(await say(me, 'base', 'show')).toContain('has no base.');
  expect(await say(me, 'base', 'make', 'facts.ts', 'more.ts')).toMatch(
    /^New sessions of this project begin with 2 files: /,
  );
  await say(me, 'session', 'new', '--id', 's', '--project', '.');
  await say(me, 'send', 's', 'What is fact 3?', '--max-tokens', '2');
  expect(await say(me, 'base', 'show')).toMatch(/1 session began with it\.\nNo file changed since\.\n$/);

  writeFileSync(join(folder, 'more.ts'), `${facts}\nexport const another = 1;`);
  expect(await say(me, 'base', 'show')).toContain('1 file changed');
  expect(await say(me, 'base', 'renew')).toMatch(/^New sessions of this project begin with 2 files: .*reused/);
  expect(await say(me, 'base', 'move', 's', '--break-prefix')).toContain("is on its project's base now");
  expect(await say(me, 'base', 'delete')).toMatch(/^New sessions of .* begin empty\.\n$/);
});

test('a project that clients of the gateway call by a name is named by it', async () => {
  const { storage } = await start();
  const me = { storage, cwd: makeDirectory() };
  await say(me, 'session', 'new', '--id', 's', '--project', 'project://demo');
  expect(await say(me, 'session', 'list', '--project', 'demo')).toMatch(/^s /m);
  expect((await outcomeOf(me, 'session', 'list', '--project', 'demos')).stderr).toContain('CWM-1102');
});
