import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openApiFile } from '../../scripts/openApi.ts';
import { run } from './run.ts';
import { serve, type Served } from './served.ts';
import { strangers } from './tools.ts';

let folder = '';
let served: Served;
beforeEach(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'cwm-strangers-'));
  served = await serve(path.join(folder, 'storage'));
});
afterEach(async () => {
  await served.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe('the document', () => {
  test('redocly finds nothing to complain about', async () => {
    const { status, output } = await run(strangers.redocly(), ['lint', openApiFile, '--format=stylish']);
    expect(output).not.toMatch(/\b(?:warning|error)s?\b(?! was| were)/i);
    expect(status).toBe(0);
  });

  test('a client that openapi-typescript generates type-checks, and refuses what the API does not have', async () => {
    const generated = await run(strangers.openapiTypescript(), [openApiFile, '-o', path.join(folder, 'api.d.ts')]);
    expect(generated.status, generated.output).toBe(0);
    const check = async (client: string) => {
      writeFileSync(path.join(folder, 'client.ts'), client);
      return run(
        strangers.tsc(),
        ['--noEmit', '--strict', '--skipLibCheck', 'false', '--target', 'es2022', '--module', 'nodenext', 'client.ts'],
        { cwd: folder },
      );
    };
    const client = readFileSync(path.join(import.meta.dirname, 'client.ts.txt'), 'utf8');
    const good = await check(client);
    expect(good.output).toBe('');
    const bad = await check(client.replace("'/api/contexts/{session}/state'", "'/api/contexts/{session}/mood'"));
    expect(bad.output).toContain('mood');
  });
});

describe('the API on TCP', () => {
  const drive = async (...more: string[]) => {
    const config = readFileSync(path.join(import.meta.dirname, 'schemathesis.toml'), 'utf8');
    const { items } = await served.client.call('listMessages', { session: 's' });
    // What is there, so that requests reach the operations and not only "there is no such session".
    const there = { session: 's', window: 'w', branch: 'main', message: items[0]?.id, prompt: 'default' };
    const parameters = Object.entries(there).map(([name, value]) => `"path.${name}" = "${value}"`);
    writeFileSync(path.join(folder, 'schemathesis.toml'), `[parameters]\n${parameters.join('\n')}\n\n${config}`);
    return run(
      strangers.schemathesis(),
      [
        '--config-file',
        'schemathesis.toml',
        'run',
        openApiFile,
        '--url',
        served.url,
        '--header',
        `Authorization: Bearer ${served.token}`,
        '--seed',
        '1',
        '--max-examples',
        '10',
        '--phases',
        'examples,coverage,fuzzing',
        '--no-shrink',
        '--continue-on-failure',
        '--warnings',
        'off',
        ...more,
      ],
      { cwd: folder },
    );
  };
  const deletions = ['deleteSession', 'deleteWindow'];
  const option = (name: string): string[] => deletions.flatMap((id) => [name, id]);

  test('schemathesis finds no failure in any route (the stream of signals has no end, and a test of its own)', async () => {
    const rest = await drive(...option('--exclude-operation-id'), '--exclude-operation-id', 'events');
    expect(rest.status, rest.output).toBe(0);
    const last = await drive(...option('--include-operation-id'));
    expect(last.status, last.output).toBe(0);
    // It drove them all, and the backend works as before.
    expect(rest.output).toMatch(/Tested: +1\d\d\b/);
    expect((await served.client.call('verify', {})).steps.flatMap(({ problems }) => problems)).toEqual([]);
  });

  test('curl sends a message and reads the answer as events', async () => {
    const ask = (to: string, ...args: string[]) =>
      run('curl', ['-sS', '-N', '-H', `authorization: Bearer ${served.token}`, ...args, `${served.url}${to}`]);
    const created = await ask('/api/contexts', '-i', '-d', '{"id":"c"}');
    expect(created.output).toMatch(/^HTTP\/1\.1 201 /);
    const events = await ask(
      '/api/contexts/c/messages',
      '-H',
      'accept: text/event-stream',
      '-d',
      '{"text":"What is ice?","maxTokens":4}',
    );
    expect(events.output).toMatch(/^event: text$/m);
    expect(events.output).toMatch(/^event: result$/m);
    // KV of it may be in a tier that the backend cannot see: the answer says so.
    expect((await ask('/api/contexts/c', '-i', '-X', 'DELETE')).output).toMatch(/^HTTP\/1\.1 200 [^]*"unreached":\[/);
    expect((await ask('/api/contexts/c', '-i', '-X', 'PATCH')).output).toMatch(
      /^HTTP\/1\.1 405 [\s\S]*^allow: GET, PUT, DELETE/m,
    );
  });

  test('promtool finds nothing wrong with the metrics', async (context) => {
    const found = await run('promtool', ['--version']).catch(() => null);
    if (!found) return context.skip('promtool is not installed: apt-get install prometheus');
    await served.client.call('createSession', { id: 'm' });
    await served.client.call('send', { session: 'm', text: 'What is ice?', maxTokens: 2 });
    const answer = await fetch(`${served.url}/metrics`, { headers: { authorization: `Bearer ${served.token}` } });
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const checked = await run('promtool', ['check', 'metrics'], { input: await answer.text() });
    expect(checked).toEqual({ status: 0, output: '' });
    const bad = await run('promtool', ['check', 'metrics'], { input: 'cwm_bad_total{a="1" 2\n' });
    expect(bad.status).not.toBe(0);
  });
});
