import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { agentTools } from '../../src/agent/agentTools.ts';
import { venvPython } from '../engines/live/python.ts';
import { prose } from '../engines/live/liveProduct.ts';
import { run } from '../strangers/run.ts';
import { isNightly } from '../support/nightly.ts';
import { clientFolder, clientModules, type ClientName } from './install.ts';
import { served, type Served } from './served.ts';

/** Programs of other people against the MCP server by both of its doors, with a real llama.cpp over the real Gemma behind it. */
const cliEntry = path.join(import.meta.dirname, '../../src/cli/main.ts');
const cleanUps: (() => Promise<unknown>)[] = [];
let backend: Served;
beforeAll(async () => {
  backend = await served(cleanUps);
  const { id: session } = await backend.client.call('createSession', { id: 's' });
  await backend.client.call('send', { session, text: `What is ice? ${prose('ice', 200)}`, maxTokens: 8 });
  await backend.client.call('freeze', { session, window: 'frozen' });
});
afterAll(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

const bin = (client: ClientName, name: string): string =>
  path.join(path.dirname(clientModules(client)), 'node_modules', '.bin', name);
/** What stands before and behind the inspector's other arguments. */
const doors = {
  stdio: () => ({ options: [], target: [process.execPath, cliEntry, 'mcp', '--storage', backend.storage] }),
  http: () => ({
    options: ['--transport', 'http', '--header', `Authorization: Bearer ${backend.token}`],
    target: [`${backend.url}/mcp`],
  }),
} as const;
function inspectBy(door: keyof typeof doors, ...args: string[]) {
  const { options, target } = doors[door]();
  return run(bin('inspector', 'mcp-inspector'), ['--cli', ...options, ...args, '--format', 'json', ...target]);
}

describe.each([
  ['stdio', 'legacy'],
  ['stdio', 'modern'],
  ['http', 'legacy'],
  ['http', 'modern'],
] as const)('the inspector over %s in the %s form of the protocol', (door, era) => {
  const inspect = (...args: string[]) => inspectBy(door, '--protocol-era', era, ...args);
  const call = (tool: string, ...args: string[]) =>
    inspect('--method', 'tools/call', '--tool-name', tool, ...args.flatMap((arg) => ['--tool-arg', arg]));

  test('finds every tool, and in its strict mode no fault in their schemas', async () => {
    const { status, output } = await inspect('--method', 'tools/list', '--strict');
    expect(status, output).toBe(0);
    for (const name of Object.keys(agentTools)) expect(output).toContain(`"name":"${name}"`);
  });

  // The other two pairs of door and form differ in nothing that these calls meet.
  test.runIf(isNightly || (door === 'stdio') === (era === 'legacy'))(
    'S0-05 thaws a window, and the thaw is proven; a delete is not done without a person',
    async () => {
      const thawed = await call('window_thaw', 'window_name=frozen');
      expect(thawed.output).toContain('"verdict":"proven"');
      const deleted = await call('window_delete', 'window_name=frozen', 'force=true');
      expect(deleted.output).toContain('CWM-8001');
      expect((await backend.client.call('listWindows', {})).items.map(({ name }) => name)).toEqual(['frozen']);
    },
  );

  test.runIf(isNightly || (door === 'http' && era === 'legacy'))(
    'lists and reads resources, and gets a prompt',
    async () => {
      expect((await inspect('--method', 'resources/list')).output).toContain('cwm://sessions/s');
      const read = await inspect('--method', 'resources/read', '--uri', 'cwm://sessions');
      expect(read.output).toContain('What is ice?');
      const prompt = ['--method', 'prompts/get', '--prompt-name', 'thaw', '--prompt-args', 'window=frozen'];
      expect((await inspect(...prompt)).output).toContain('Call window_thaw with window_name \\"frozen\\"');
    },
  );
});

test.runIf(isNightly)('the inspector calls 200 times over HTTP, ten at once, and none fails', async () => {
  const load = ['--load', '--load-requests', '200'];
  const call = ['--protocol-era', 'modern', '--method', 'tools/call', '--tool-name', 'window_list', ...load];
  const { status, output } = await inspectBy('http', ...call);
  expect(status, output).toBe(0);
});

/** The revisions that the conformance suite has, each with what must be seen to pass. */
test.each([
  ['2025-11-25', ['server-initialize', 'server-session-lifecycle', 'resources-subscribe', 'dns-rebinding-protection']],
  ['2026-07-28', ['caching', 'http-header-validation', 'sep-2164-resource-not-found', 'dns-rebinding-protection']],
] as const)(
  'the conformance suite of %s finds no fault besides tools and resources of its own that are not here',
  async (revision, passing) => {
    const baseline = path.join(import.meta.dirname, `conformance-${revision}.yml`);
    const url = `${backend.url}/t/${backend.token}/mcp`;
    const args = ['server', '--url', url, '--requirements', revision, '--expected-failures', baseline];
    const { status, output } = await run(bin('conformance', 'conformance'), args);
    expect(status, output.slice(-4000)).toBe(0);
    for (const scenario of passing) expect(output).toMatch(new RegExp(`✓ ${scenario}: \\d+ passed, 0 failed`));
  },
);

test.runIf(isNightly)(
  'the Python package lists the tools, freezes, hears the steps of a thaw, and answers the question of a delete',
  async () => {
    const { id: session } = await backend.client.call('createSession', { id: 'python' });
    await backend.client.call('send', { session, text: 'What is ice?', maxTokens: 8 });
    const command = [path.join(import.meta.dirname, 'mcpClient.py'), ...doors.stdio().target];
    const { status, output } = await run(venvPython(clientFolder('pythonMcp')), command);
    expect(status, output).toBe(0);
    const lines = output.trim().split('\n');
    expect(lines).toContain(`tools ${Object.keys(agentTools).length}`);
    expect(lines).toContain('verdict proven');
    expect(lines).toContain('asked Delete the window');
    expect(output).toMatch(/^step [A-Z]/m);
  },
);
