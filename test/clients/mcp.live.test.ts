import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { agentTools } from '../../src/agent/agentTools.ts';
import { venvPython } from '../engines/live/python.ts';
import { run } from '../strangers/run.ts';
import { clientFolder, clientModules } from './install.ts';

/** Programs of other people against `cwm mcp`, with the embedded engine behind it: a real llama.cpp over a generated model. */
const cliEntry = path.join(import.meta.dirname, '../../src/cli/main.ts');
let storage = '';
const cwm = async (...args: string[]): Promise<void> => {
  const { status, output } = await run(process.execPath, [cliEntry, ...args, '--storage', storage]);
  if (status !== 0) throw new Error(output);
};
beforeEach(async () => {
  storage = await mkdtemp(path.join(tmpdir(), 'cwm-mcp-'));
  await cwm('session', 'new', '--engine', 'embedded', '--id', 's');
  await cwm('send', 's', 'What is ice?');
});
afterEach(async () => {
  await cwm('stop');
  await rm(storage, { recursive: true, force: true });
});

describe.each(['legacy', 'modern'])('the inspector in the %s form of the protocol', (era) => {
  async function inspect(...args: string[]) {
    const inspector = path.join(path.dirname(clientModules('inspector')), 'node_modules/.bin/mcp-inspector');
    const server = [process.execPath, cliEntry, 'mcp', '--storage', storage];
    return await run(inspector, ['--cli', '--protocol-era', era, ...args, '--format', 'json', ...server]);
  }
  const call = async (tool: string, ...args: string[]) =>
    await inspect('--method', 'tools/call', '--tool-name', tool, ...args.flatMap((arg) => ['--tool-arg', arg]));

  test('finds every tool, and in its strict mode no fault in their schemas', async () => {
    const { status, output } = await inspect('--method', 'tools/list', '--strict');
    expect(status, output).toBe(0);
    for (const name of Object.keys(agentTools)) expect(output).toContain(`"name":"${name}"`);
  });

  test('lists and reads resources, and gets a prompt', async () => {
    expect((await inspect('--method', 'resources/list')).output).toContain('cwm://sessions/s');
    const read = await inspect('--method', 'resources/read', '--uri', 'cwm://sessions');
    expect(read.output).toContain('What is ice?');
    expect((await inspect('--method', 'prompts/list')).output).toContain('"name":"thaw"');
  });

  test('S0-02 S0-05 freezes and thaws, and the thaw is proven; a delete is not done without a person', async () => {
    const frozen = await call('window_freeze', 'session_id=s', 'window_name=w');
    expect(frozen.status, frozen.output).toBe(0);
    const thawed = await call('window_thaw', 'window_name=w');
    expect(thawed.output).toContain('"verdict":"proven"');
    const deleted = await call('window_delete', 'window_name=w', 'force=true');
    expect(deleted.output).toContain('CWM-8001');
    expect((await call('window_list')).output).toContain('"name":"w"');
  });
});

test('the Python package lists the tools, freezes, hears the steps of a thaw, and answers the question of a delete', async () => {
  const { status, output } = await run(
    venvPython(clientFolder('pythonMcp')),
    [path.join(import.meta.dirname, 'mcpClient.py'), process.execPath, cliEntry, 'mcp', '--storage', storage],
    {},
  );
  expect(status, output).toBe(0);
  const lines = output.trim().split('\n');
  expect(lines).toContain(`tools ${Object.keys(agentTools).length}`);
  expect(lines).toContain('verdict proven');
  expect(lines).toContain('asked Delete the window');
  expect(lines).toContain('windows left 0');
  expect(output).toMatch(/^step [A-Z]/m);
});
