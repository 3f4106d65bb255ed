import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { memorySuffix } from '../../src/protocol/memory/memoryModel.ts';
import { runCommandLine } from '../../src/cli/program.ts';
import { temporaryDirectories } from '../backend/support/temporaryDirectory.ts';
import { wholeBackends } from '../security/support/wholeBackend.ts';
import { eventually } from '../support/eventually.ts';
import { FakeTerminal } from './support/fakeTerminal.ts';
import { outcomeOf, say } from './support/person.ts';

const start = wholeBackends();
const makeDirectory = temporaryDirectories();

test('cwm clients makes a client whose token is shown once, limits it, lists it, and revokes it', async () => {
  const me = { storage: (await start()).storage, cwd: makeDirectory() };
  expect(await say(me, 'clients')).toBe(
    'The gateway does not listen. "cwm connect" opens it.\nNo client has used it since the backend started.\n',
  );

  const made = await say(me, 'clients', 'add', 'script', '--dont-record', '--read-only');
  const [, token] = /^The token of script, which is shown only now: (\S+)\nBase URL: http:.*\/v1, /.exec(made) ?? [];
  expect(token).toMatch(/^\S{20,}$/);
  expect(await say(me, 'clients')).toMatch(
    /^The gateway listens at http.*\n\nCLIENT +PROJECT .*\nscript +– +– .* never /,
  );
  expect(await say(me, 'clients')).not.toContain(token);

  expect(await say(me, 'clients', 'record', 'script', 'on')).toBe('Conversations of script become sessions.\n');
  expect(await say(me, 'clients', 'record', 'script', 'off')).toBe('Conversations of script are not recorded.\n');
  expect(await say(me, 'clients', 'tools', 'script', 'all')).toBe('script may call every tool.\n');
  expect(await say(me, 'clients', 'tools', 'script', 'read')).toBe(
    'script may call only the tools that change nothing.\n',
  );
  const rotated = await say(me, 'clients', 'rotate', 'script');
  expect(rotated).toMatch(/^The token of script, which is shown only now: /);
  expect(rotated).not.toContain(token);
  expect(await say(me, 'clients', 'revoke', 'script')).toBe('The token of script does not work any more.\n');
  expect((await outcomeOf(me, 'clients', 'revoke', 'script')).code).toBe(1);
});

test('cwm connect shows what a configuration becomes, changes it only on yes, and --undo brings it back', async () => {
  const home = makeDirectory();
  const me = { storage: (await start()).storage, cwd: home, home };
  const file = join(home, '.claude/settings.json');
  const mine = '{\n  "theme": "dark"\n}\n';
  mkdirSync(join(home, '.claude'));
  writeFileSync(file, mine);

  const refused = await outcomeOf({ ...me, lines: ['n'] }, 'connect', 'claude-code');
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(/settings\.json (?:becomes|gets):\n\n[^]*ANTHROPIC_BASE_URL[^]*Nothing was changed\./);
  expect(readFileSync(file, 'utf8')).toBe(mine);

  const done = await say({ ...me, lines: ['y'] }, 'connect', 'claude-code');
  expect(done).toMatch(/^Claude Code is set up in .*settings\.json\.\n/);
  expect(readFileSync(file, 'utf8')).toMatch(/"theme": "dark"[^]*ANTHROPIC_BASE_URL/);

  expect(await say(me, 'connect', 'claude-code', '--undo')).toMatch(/has nothing of the gateway any more\.\n$/);
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({ theme: 'dark' });
  expect(await say(me, 'connect', 'claude-code', '--undo')).toMatch(/nothing says that "cwm connect" changed it\.\n$/);
});

test('cwm connect refuses a model server that the gateway does not pass to, and leaves the token as it is', async () => {
  const { storage, client } = await start();
  const me = { storage, cwd: makeDirectory() };
  const { defaultEngine } = await client.call('health', {});
  const refused = await outcomeOf(me, 'connect', 'curl', '--engine', 'http://127.0.0.1:9');
  expect(refused).toMatchObject({ code: 1, stdout: '' });
  expect(refused.stderr).toContain(`The gateway passes to ${defaultEngine}, the model server of new sessions.`);
  expect(refused.stderr).toContain('Run "cwm use http://127.0.0.1:9" first.');
  expect((await client.call('gatewayClients', {})).items).toEqual([]);

  const made = await say({ ...me, lines: ['y'] }, 'connect', 'curl', '--engine', defaultEngine);
  expect(made).toMatch(
    /^curl needs no file\.\nRun: curl .*\n.*"cwm serve --at-login on" starts one at each login\.\n$/,
  );
  // A script that makes a token gets it.
  const asJson = JSON.parse(await say(me, 'connect', 'curl', '--yes', '--json')) as { readonly hint: string };
  expect(asJson.hint).toMatch(/^Run: curl .* 'Authorization: Bearer \S{20,}'/);
  const again = await say(me, 'connect', 'curl', '--yes');
  expect(again).toMatch(/\nThe token that it had before does not work any more\.\n/);
});

test('cwm connect curl makes a token, which takes an earlier one back, only on yes', async () => {
  const { storage, client } = await start();
  const me = { storage, cwd: makeDirectory() };
  const refused = await outcomeOf(me, 'connect', 'curl');
  expect(refused).toMatchObject({ code: 1, stdout: '' });
  expect(refused.stderr).toContain('Nothing was changed.');
  expect((await client.call('gatewayClients', {})).items).toEqual([]);
});

test('cwm connect says why it needs a model server that does not answer, and does without it where the model is named', async () => {
  const { storage, client } = await start();
  const home = makeDirectory();
  const me = { storage, cwd: home, home };
  await client.call('useEngine', { engine: 'http://127.0.0.1:9' });
  const refused = await outcomeOf(me, 'connect', 'curl', '--yes');
  expect(refused.stderr).toContain('The client must name a model, and the server says which it has.');
  expect(refused.stderr).toContain('"cwm connect curl --served MODEL"');
  expect(await say(me, 'connect', 'opencode', '--yes', '--served', 'gemma')).toMatch(/^OpenCode is set up in /);
  expect(readFileSync(join(home, '.config/opencode/opencode.json'), 'utf8')).toContain('"gemma": {}');
});

test('cwm connect --undo leaves a file that names the gateway for another reason, and says what to do', async () => {
  const home = makeDirectory();
  const { storage, client } = await start();
  const me = { storage, cwd: home, home };
  const { url } = await client.call('openGateway', {});
  const file = join(home, '.claude/settings.json');
  mkdirSync(join(home, '.claude'));
  const written = JSON.stringify({ env: { ANTHROPIC_BASE_URL: url } });
  writeFileSync(file, written);
  expect(await say(me, 'connect', 'claude-code', '--undo')).toMatch(
    /settings\.json names the gateway, but nothing says what it was before[^]*"cwm clients revoke claude-code"\.\n$/,
  );
  expect(readFileSync(file, 'utf8')).toBe(written);
});

test('cwm connect waits in a terminal for the first request, and Ctrl-C ends only the wait', async () => {
  const home = makeDirectory();
  const { storage } = await start();
  const interrupted = new AbortController();
  const terminal = new FakeTerminal({
    env: { HOME: home },
    cwd: home,
    isWatched: true,
    interrupted: interrupted.signal,
  });
  const err = terminal.err.bind(terminal);
  terminal.err = (text) => {
    err(text);
    if (text.startsWith('Waiting for its first request')) interrupted.abort();
  };
  expect(await runCommandLine(['connect', 'claude-code', '--yes', '--storage', storage], terminal)).toBe(0);
  expect(terminal.stdout).toMatch(/^Claude Code is set up in /);
  expect(terminal.stderr).toMatch(/Waiting for its first request; Ctrl-C ends that\.\n/);
});

test('cwm connect says that a client works once a request of it was answered, and shows one that was refused', async () => {
  const home = makeDirectory();
  const { storage, client } = await start();
  const terminal = new FakeTerminal({ env: { HOME: home }, cwd: home, isWatched: true });
  const run = runCommandLine(['connect', 'opencode', '--yes', '--storage', storage], terminal);
  await eventually(() => expect(terminal.stderr).toContain('Waiting for its first request'));
  const written = JSON.parse(readFileSync(join(home, '.config/opencode/opencode.json'), 'utf8')) as Written;
  const { baseURL, apiKey } = written.provider.cwm.options;
  const [model = ''] = Object.keys(written.provider.cwm.models);
  const ask = async (named: string): Promise<number> => {
    const answer = await fetch(`${baseURL}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: named, messages: [{ role: 'user', content: 'Hello.' }] }),
    });
    await answer.text();
    return answer.status;
  };
  expect(await ask(`none${memorySuffix}`)).toBe(404);
  await eventually(() => expect(terminal.stderr).toMatch(/\nOpenCode asked, and got an error: 404: .*none/));
  expect(terminal.stderr).not.toContain('works');
  expect(await ask(model)).toBe(200);
  expect(await run).toBe(0);
  expect(terminal.stderr).toMatch(/\nOpenCode works: its request was answered\.\n$/);
  const { items } = await client.call('gatewayClients', {});
  expect(items).toMatchObject([
    { name: 'opencode', answers: 1, failures: 1, lastFailure: expect.stringMatching(/^404: /) as unknown },
  ]);
});

interface Written {
  readonly provider: {
    readonly cwm: { readonly options: { readonly baseURL: string; readonly apiKey: string }; readonly models: object };
  };
}

test('cwm serve --at-login says that nothing starts at login, and takes back what is not there without an error', async () => {
  const home = makeDirectory();
  const me = { storage: makeDirectory(), cwd: home, home };
  expect(await say(me, 'serve', '--at-login', 'show')).toBe('Nothing starts at login.\n');
  expect(await say(me, 'serve', '--at-login', 'off')).toBe('Nothing starts at login.\n');
  expect(existsSync(join(home, '.config/systemd'))).toBe(false);
});

test('cwm metrics lists what needs a look and the figures, and prints them as Prometheus reads them', async () => {
  const { storage, client } = await start();
  const me = { storage, cwd: makeDirectory() };
  await client.call('createSession', { id: 's' });
  await client.call('send', { session: 's', text: 'Hello.', maxTokens: 2 });
  const shown = await say(me, 'metrics');
  expect(shown).toMatch(/^NEEDS A LOOK +VALUE +WHAT IT COUNTS\n/);
  expect(shown).toMatch(/\nFIGURE +OF +VALUE\n/);
  expect(await say(me, 'metrics', '--prometheus')).toMatch(/^# HELP /);
});
