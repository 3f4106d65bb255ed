import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { cliProcessOn, type Cli } from '../cli/support/cli.ts';
import { realBackends } from '../client/support/realBackends.ts';
import { FakeVllm } from '../fakes/fakeVllm.ts';

const { makeStorage } = realBackends();
const recorder = pathToFileURL(join(import.meta.dirname, 'support/connectionRecorder.mjs')).href;
const before = { ...process.env };

afterEach(() => {
  process.env['NODE_OPTIONS'] = before['NODE_OPTIONS'] ?? '';
  delete process.env['CWM_CONNECTIONS'];
});

describe('S0-63 no telemetry', () => {
  test('the main job connects to the named model server and to nothing else', async () => {
    const server = await FakeVllm.start();
    const targets = await recordedTargets(async (cwm, storage) => {
      const engine = ['--engine', server.url];
      await cwm.json('session', 'new', '--id', 's', ...engine);
      mkdirSync(join(storage, 'files'));
      writeFileSync(join(storage, 'files', 'one.ts'), 'export const one = 1;');
      await cwm.json('prime', 's', join(storage, 'files'));
      await cwm.json('send', 's', 'Hello?', '--max-tokens', '4');
      await cwm.json('freeze', 's', 'w');
      await cwm.json('thaw', 'w');
      await cwm.json('verify');
      await cwm.run('doctor', ...engine);
      await cwm.run('status');
    });
    expect(targets).toContain(new URL(server.url).host);
    expect(targets.filter((target) => target !== new URL(server.url).host)).toEqual([]);
    await server.stop();
  });

  test('with the embedded engine only its own loopback address is connected to', async () => {
    const targets = await recordedTargets(async (cwm) => {
      await cwm.json('session', 'new', '--id', 's');
      await cwm.json('send', 's', 'Hello?', '--max-tokens', '4');
      await cwm.json('freeze', 's', 'w');
    });
    expect(new Set(targets.map((target) => target.replace(/:\d+$/, '')))).toEqual(new Set(['127.0.0.1']));
  });
});

async function recordedTargets(work: (cwm: Cli, storage: string) => Promise<void>): Promise<string[]> {
  const storage = makeStorage();
  const file = join(storage, 'connections.txt');
  writeFileSync(file, '');
  process.env['NODE_OPTIONS'] = `--import=${recorder}`;
  process.env['CWM_CONNECTIONS'] = file;
  await work(cliProcessOn(storage), storage);
  return [
    ...new Set(
      readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line !== ''),
    ),
  ];
}
