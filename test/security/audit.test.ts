import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { auditedStore } from '../../src/backend/audit/auditedStore.ts';
import type { AuditEntry, AuditReport } from '../../src/protocol/schemas/audit.ts';
import type { CwmError } from '../../src/protocol/errors.ts';
import { until } from '../support/until.ts';
import { runInProcess } from '../cli/support/fakeTerminal.ts';
import { aKvRecord, aManifest, sessionId, someIds, windowName } from '../store/builders.ts';
import { fill } from '../store/operations.ts';
import { openTestStore, temporaryDirectory } from '../store/testStore.ts';
import { wholeBackends, type WholeBackend } from './support/wholeBackend.ts';

const start = wholeBackends();

const entries = ({ storage }: Pick<WholeBackend, 'storage'>): AuditEntry[] =>
  readFileSync(join(storage, 'audit.jsonl'), 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line.slice(65)) as AuditEntry);

/** What happened, without the chain. */
const told = (backend: WholeBackend): Record<string, unknown>[] =>
  entries(backend).map(({ sequence: _s, at: _a, previous: _p, ...fact }) => ({
    ...fact,
    client: fact.client.split('.')[0],
  }));

const code = async (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'done',
    (error: unknown) => (error as CwmError).code,
  );

async function talk({ client }: WholeBackend, session: string): Promise<void> {
  await client.call('createSession', { id: session });
  await client.call('send', { session, text: 'What is ice, and why does it float?', maxTokens: 4 });
}

describe('S0-61 what the backend writes into the audit log', () => {
  it('is who did what to which session and window', async () => {
    const backend = await start({ kind: 'vscode' });
    const { client, engine } = backend;
    await talk(backend, 's');
    await client.call('freeze', { session: 's', window: 'kept', checkpoint: true });
    await client.call('freeze', { session: 's', window: 'w' });
    await client.call('clone', { window: 'w', target: 'w2' });
    await client.call('thaw', { window: 'w', session: 't' });
    await client.call('send', { session: 't', text: 'And steam?', maxTokens: 4 });
    await client.call('thaw', { window: 'w', resume: true });
    await client.call('deleteWindow', { window: 'kept' });
    await client.call('deleteSession', { session: 's', cascade: true });
    const ok = { outcome: 'ok', client: 'vscode' };
    const verdict = expect.any(String) as unknown;
    expect(told(backend)).toEqual([
      {
        event: 'CONFIG_CHANGE',
        outcome: 'ok',
        client: 'backend',
        settings: {
          version: expect.any(String) as unknown,
          engine,
          embedded: '',
          ratePerMinute: 60,
          encryption: 'off',
        },
      },
      { ...ok, event: 'SESSION_CREATE', session: 's' },
      { ...ok, event: 'WINDOW_FREEZE', session: 's', window: 'kept', mode: 'checkpoint' },
      { ...ok, event: 'WINDOW_FREEZE', session: 's', window: 'w', mode: 'freeze' },
      { ...ok, event: 'SESSION_STATE_CHANGE', session: 's', from: 'active', to: 'frozen' },
      { ...ok, event: 'WINDOW_CLONE', session: 's', window: 'w2', source: 'w' },
      { ...ok, event: 'SESSION_CREATE', session: 't' },
      { ...ok, event: 'WINDOW_THAW', session: 't', window: 'w', verdict },
      { ...ok, event: 'SESSION_STATE_CHANGE', session: 't', from: 'thawed', to: 'active' },
      { ...ok, event: 'SESSION_STATE_CHANGE', session: 's', from: 'frozen', to: 'thawed' },
      { ...ok, event: 'WINDOW_THAW', session: 's', window: 'w', verdict },
      { ...ok, event: 'WINDOW_DELETE', window: 'kept' },
      { ...ok, event: 'WINDOW_DELETE', window: 'w' },
      { ...ok, event: 'WINDOW_DELETE', window: 'w2' },
      { ...ok, event: 'SESSION_DELETE', session: 's' },
    ]);
    expect(await client.call('verifyAudit', {})).toMatchObject({ healthy: true, entries: 15, problems: [] });
  });

  it('also tells what was refused, in ids and codes alone', async () => {
    const backend = await start({ kind: 'mcp' });
    const { client } = backend;
    await talk(backend, 's');
    await client.call('freeze', { session: 's', window: 'w' });
    const before = entries(backend).length;
    expect(await code(client.call('freeze', { session: 's', window: 'w2' }))).toBe('CWM-3002');
    expect(await code(client.call('thaw', { window: 'nothing' }))).toBe('CWM-2002');
    expect(await code(client.call('freeze', { session: '../../etc/passwd', window: 'ok' }))).toBe('CWM-1001');
    expect(await code(client.call('createSession', { id: 'x', project: 'no uri: hunter2' }))).toBe('CWM-1003');
    expect(await code(client.call('listWindows', { limit: 'hunter2' }))).toBe('CWM-1003');
    await backend.raw({ method: 'POST', path: '/api/windows/w/thaw', body: '{"hunter2":' });
    await backend.raw({ method: 'POST', path: '/api/windows/w/clone', body: '{"target":["hunter2"]}' });
    expect(await code(client.call('getSession', { session: 'nobody' }))).toBe('CWM-2001');
    await until('all are written', () => entries(backend).length >= before + 7);
    expect(told(backend).slice(before)).toEqual([
      { event: 'WINDOW_FREEZE', outcome: 'CWM-3002', client: 'mcp', route: 'freeze', session: 's', window: 'w2' },
      { event: 'WINDOW_THAW', outcome: 'CWM-2002', client: 'mcp', route: 'thaw', window: 'nothing' },
      { event: 'VALIDATION_FAILURE', outcome: 'CWM-1001', client: 'mcp', route: 'freeze', window: 'ok' },
      { event: 'VALIDATION_FAILURE', outcome: 'CWM-1003', client: 'mcp', route: 'createSession', session: 'x' },
      { event: 'VALIDATION_FAILURE', outcome: 'CWM-1003', client: 'mcp', route: 'listWindows', parameter: 'limit' },
      { event: 'VALIDATION_FAILURE', outcome: 'CWM-1003', client: 'unnamed', route: 'thaw' },
      { event: 'VALIDATION_FAILURE', outcome: 'CWM-1003', client: 'unnamed', route: 'clone', parameter: 'target' },
    ]);
    expect(await readFile(join(backend.storage, 'audit.jsonl'), 'utf8')).not.toMatch(/hunter2|passwd|What is ice/);
  });

  it('is also what comes back from the trash, what goes for good, and a freeze that a start had to finish', async () => {
    const directory = await temporaryDirectory();
    const store = await openTestStore(directory);
    const audited = auditedStore(store, (facts) => store.audit.record(facts));
    await fill(store);
    await audited.windows.delete(windowName('w0'));
    await audited.sessions.delete(sessionId('s2'));
    for (const { id } of (await audited.trash.list()).toSorted((a, b) => a.name.localeCompare(b.name)).reverse())
      await audited.trash.restore(id);
    await audited.sessions.delete(sessionId('s2'));
    await audited.trash.empty('all');
    await audited.trash.empty('all');
    await store.windows.create(aManifest({ mode: 'freeze' }), someIds, aKvRecord());
    await store.close();
    await openTestStore(directory);
    const told = entries({ storage: directory }).map(({ event, session, window, from, to, items }) =>
      [event, session, window, from, to, items].filter((part) => part !== undefined).join(' '),
    );
    expect(told).toEqual([
      'WINDOW_DELETE w0',
      'SESSION_DELETE s2',
      'WINDOW_RESTORE w0',
      'SESSION_RESTORE s2',
      'SESSION_DELETE s2',
      'TRASH_EMPTY 1',
      'SESSION_STATE_CHANGE s1 w1 active frozen',
    ]);
  });

  it('counts refusals beyond 60 a minute instead of writing each', async () => {
    const backend = await start();
    for (let again = 0; again < 80; again++) {
      await backend.raw({ method: 'GET', path: '/api/windows?limit=many' });
    }
    await backend.client.call('createSession', { id: 's' });
    expect(entries(backend).filter(({ event }) => event === 'VALIDATION_FAILURE')).toHaveLength(60);
  });

  it('does not believe a client that says it is the backend, or whose name is no name', async () => {
    const backend = await start();
    for (const name of ['backend', 'backend.1', 'a b', 'x'.repeat(100), 'cli.1\u00e4', 'CLI']) {
      const headers = { 'x-cwm-client': Buffer.from(name).toString('latin1') };
      await backend.raw({ method: 'POST', path: '/api/contexts', body: '{}', headers });
    }
    const clients = told(backend).map(({ client }) => client);
    expect(clients).toEqual(['backend', ...Array.from({ length: 6 }, () => 'unnamed')]);
  });

  it('tells a change of the settings once, not each start', async () => {
    const first = await start();
    await first.stop();
    const second = await start({ storage: first.storage, engine: first.engine });
    await second.stop();
    const third = await start({ storage: first.storage, engine: first.engine, ratePerMinute: 100 });
    expect(
      told(third).map(({ event, settings }) => [event, (settings as { ratePerMinute: unknown }).ratePerMinute]),
    ).toEqual([
      ['CONFIG_CHANGE', 60],
      ['CONFIG_CHANGE', 100],
    ]);
  });
});

describe('cwm audit verify', () => {
  const cwm = (storage: string, ...args: string[]) => runInProcess('audit', 'verify', '--storage', storage, ...args);

  it('ends with 0 for a whole log, and with 1 naming the line for one that was tampered with', async () => {
    const backend = await start();
    const path = join(backend.storage, 'audit.jsonl');
    for (const id of ['a', 'b', 'c']) await backend.client.call('createSession', { id });
    const whole = await cwm(backend.storage);
    expect(whole).toMatchObject({ code: 0, stderr: '' });
    expect(whole.stdout).toMatch(/^4 entries, all as they were written\.\nThe last entry is 4:[0-9a-f]{64}\n$/);
    const known = /4:\w+/.exec(whole.stdout)![0];
    expect(await cwm(backend.storage, '--known', known)).toMatchObject({ code: 0 });
    expect(await cwm(backend.storage, '--known', `4:${'0'.repeat(64)}`)).toMatchObject({ code: 1 });
    expect((await cwm(backend.storage, '--known', 'four')).stderr).toContain('CWM-1003');
    const lines = (await readFile(path, 'utf8')).split('\n');
    await writeFile(path, lines.toSpliced(2, 1).join('\n'));
    const damaged = await cwm(backend.storage);
    expect(damaged.code).toBe(1);
    expect(damaged.stdout).toContain('✗ audit.jsonl line 3: Entry 3 is missing before it.');
    const asJson = await cwm(backend.storage, '--json');
    const report = JSON.parse(asJson.stdout) as AuditReport;
    expect(report.healthy).toBe(false);
    expect(report.problems[0]).toMatchObject({ file: 'audit.jsonl', line: 3 });
  });
});
