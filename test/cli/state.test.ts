import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { temporaryDirectories } from '../backend/support/temporaryDirectory.ts';
import { wholeBackends } from '../security/support/wholeBackend.ts';
import { cliOn } from './support/cli.ts';

const makeDirectory = temporaryDirectories();
const startHere = wholeBackends();

describe('cwm state', () => {
  it('S3-02 S3-11 stores values with a session, also from several commands at once', async () => {
    const cwm = cliOn((await startHere()).storage);
    await cwm.json('session', 'new', '--id', 's');
    expect((await cwm.run('state', 'get', 's')).stdout).toBe('Session s has no state.\n');
    await Promise.all(['a', 'b', 'c', 'd'].map((name) => cwm.json('state', 'set', 's', name, `["${name}"]`)));
    expect(await cwm.json('state', 'get', 's')).toMatchObject({
      version: 4,
      data: { a: ['a'], b: ['b'], c: ['c'], d: ['d'] },
    });
    expect((await cwm.run('state', 'set', 's', 'goal', 'find the leak')).stdout).toBe(
      'The state of session s is now version 5.\n',
    );
    expect((await cwm.run('state', 'get', 's', 'goal')).stdout).toBe('find the leak\n');
    await cwm.json('state', 'unset', 's', 'a');
    expect(await cwm.refusal('state', 'get', 's', 'a')).toMatchObject({ code: 'CWM-2009' });
    expect(await cwm.refusal('state', 'set', 's', 'a', '1', '--if-version', '3')).toMatchObject({
      code: 'CWM-3103',
      details: { storedVersion: 6, givenVersion: 4 },
    });
  });

  it('S3-08 lists recovery points and takes a session back', async () => {
    const cwm = cliOn((await startHere()).storage);
    await cwm.json('session', 'new', '--id', 's');
    expect((await cwm.run('state', 'recovery-points', 's')).stdout).toBe('There is no recovery point yet.\n');
    expect(await cwm.refusal('state', 'go-back', 's')).toMatchObject({ code: 'CWM-2005' });
    await cwm.json('state', 'set', 's', 'n', '1');
    expect((await cwm.run('state', 'recovery-points', 's', '--add')).stdout).toMatch(
      /^Created recovery point [0-9a-f]{8}\.\n$/,
    );
    await cwm.json('state', 'set', 's', 'n', '2');
    expect((await cwm.run('state', 'recovery-points', 's')).stdout).toMatch(
      /^ID +CREATED +REASON +STATE VERSION +MESSAGES +TOKENS\n[0-9a-f]{8} +just now +by request +1 +0 +0\n$/,
    );
    expect((await cwm.run('state', 'go-back', 's', '--state-version', '1')).stdout).toMatch(
      /^Session s went back to \S+ \S+ UTC: 0 messages, state version 1 \(now version 3\)\.\nTo undo this, go back to recovery point [0-9a-f]{8}\.\n$/,
    );
    expect((await cwm.run('state', 'get', 's', 'n')).stdout).toBe('1\n');
  });

  it('S3-05 synchronises two storage directories through a folder', async () => {
    const folder = makeDirectory();
    const [here, there] = [cliOn((await startHere()).storage, folder), cliOn((await startHere()).storage, folder)];
    for (const cwm of [here, there]) await cwm.json('session', 'new', '--id', 's');
    await here.json('state', 'set', 's', 'n', '1');
    expect((await here.run('state', 'push', 's', '.')).stdout).toBe(
      'The folder took the state of the session. The state of session s is version 1.\n',
    );
    await there.json('state', 'pull', 's', '.');
    await here.json('state', 'set', 's', 'here', 'true');
    await there.json('state', 'set', 's', 'there', 'true');
    await here.json('state', 'sync', 's', '.');
    expect(await there.refusal('state', 'sync', 's', folder)).toMatchObject({
      code: 'CWM-3107',
      details: { local: { data: { there: true } }, peer: { data: { here: true } } },
    });
    expect((await there.run('state', 'sync', 's', '.', '--policy', 'merge')).stdout).toMatch(
      /^Session and folder were both updated; both had changed\./,
    );
    await here.json('state', 'sync', 's', '.');
    expect((await here.json('state', 'get', 's'))['data']).toEqual({ n: 1, here: true, there: true });
    expect(readdirSync(folder).filter((name) => name.startsWith('state-'))).toHaveLength(1);
    expect(await here.refusal('state', 'sync', 's', 'nowhere')).toMatchObject({ code: 'CWM-2009' });
  });

  it('S3-04 "@" is the session that was selected last', async () => {
    const cwm = cliOn((await startHere()).storage);
    expect(await cwm.refusal('state', 'get', '@')).toMatchObject({ code: 'CWM-3104' });
    expect((await cwm.run('state', 'active')).stdout).toBe('No session is selected.\n');
    await cwm.json('session', 'new', '--id', 's');
    expect((await cwm.run('state', 'activate', 's')).stdout).toBe('Selected: s.\n');
    await cwm.json('state', 'set', '@', 'n', '1');
    expect(await cwm.json('state', 'get', 's')).toMatchObject({ data: { n: 1 } });
    expect((await cwm.run('state', 'deactivate')).stdout).toBe('No session is selected.\n');
  });
});

describe('cwm session set', () => {
  it('S0-30 gives a session an expiry, changes it and takes it away', async () => {
    const cwm = cliOn((await startHere()).storage);
    const created = await cwm.json('session', 'new', '--id', 's', '--expires-in', '30d');
    expect(Date.parse(String(created['expiresAt']))).toBeGreaterThan(Date.now() + 29 * 86_400_000);
    expect((await cwm.run('session', 'set', 's', '--expires-in', '90m')).stdout).toMatch(/^Session s expires at /);
    expect((await cwm.run('session', 'show', 's')).stdout).toMatch(/^ *Expires /m);
    expect((await cwm.run('session', 'set', 's', '--never-expires')).stdout).toBe('Session s does not expire.\n');
    expect(await cwm.json('session', 'list', '--lifecycle', 'expired')).toMatchObject({ total: 0 });
    for (const args of [[], ['--expires-in', '0d'], ['--expires-in', '1d', '--never-expires']]) {
      expect((await cwm.run('session', 'set', 's', ...args)).code).toBe(2);
    }
  });
});
