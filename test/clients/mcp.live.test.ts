import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { agentTools } from '../../src/agent/agentTools.ts';
import { venvPython } from '../engines/live/python.ts';
import { prose } from '../engines/live/liveProduct.ts';
import { FakeLlamaServer } from '../fakes/fakeLlamaServer.ts';
import { run } from '../strangers/run.ts';
import { isNightly } from '../support/nightly.ts';
import { clientFolder, clientModules, type ClientName } from './install.ts';
import { scriptedServer } from './scriptedServer.ts';
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

const inBoth = [
  'tools-list',
  'resources-list',
  'prompts-list',
  'dns-rebinding-protection',
  'server-sse-multiple-streams',
];
/** The revisions that the conformance suite has, each with what must be seen to pass. */
test.each([
  ['2025-11-25', [...inBoth, 'server-initialize', 'server-session-lifecycle', 'resources-subscribe']],
  ['2026-07-28', [...inBoth, 'caching', 'http-header-validation', 'sep-2164-resource-not-found']],
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

test('the Python package lists the tools, freezes, hears the steps of a thaw, and answers the question of a delete', async () => {
  const { id: session } = await backend.client.call('createSession', { id: 'python' });
  await backend.client.call('send', { session, text: `What is ice? ${prose('ice', 60)}`, maxTokens: 8 });
  const command = [path.join(import.meta.dirname, 'mcpClient.py'), ...doors.stdio().target];
  const { status, output } = await run(venvPython(clientFolder('pythonMcp')), command);
  expect(status, output).toBe(0);
  const lines = output.trim().split('\n');
  expect(lines).toContain(`tools ${Object.keys(agentTools).length}`);
  expect(lines).toContain('verdict proven');
  expect(lines).toContain('asked Delete the window');
  expect(output).toMatch(/^step [A-Z]/m);
});

test.runIf(isNightly)(
  'OpenCode lists the tools and calls them; it cannot ask, so a delete is refused and says what to do instead',
  async () => {
    const home = await mkdtemp(path.join(tmpdir(), 'cwm-opencode-'));
    cleanUps.push(() => rm(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }));
    const fake = await FakeLlamaServer.start({
      faults: { model: 'gemma', contextTokens: 2_000_000, answer: [...Buffer.from('Red.'), 257] },
    });
    cleanUps.push(() => fake.stop());
    const { url, seen } = await scriptedServer(() => fake.url, cleanUps);
    const config = path.join(home, '.config', 'opencode', 'opencode.json');
    mkdirSync(path.dirname(config), { recursive: true });
    const options = { baseURL: `${url}/v1`, apiKey: 'none' };
    const provider = { scripted: { npm: '@ai-sdk/openai-compatible', options, models: { gemma: {} } } };
    const mcp = { cwm: { type: 'local', command: doors.stdio().target, enabled: true } };
    writeFileSync(config, JSON.stringify({ provider, mcp }));
    const say = async (text: string): Promise<string> => {
      const env = { PATH: process.env['PATH'], HOME: home };
      const { status, output } = await run(bin('opencode', 'opencode'), ['run', '-m', 'scripted/gemma', text], {
        cwd: home,
        env,
      });
      expect(status, output).toBe(0);
      return JSON.stringify(seen.findLast(({ chat }) => chat.messages.at(-1)?.role === 'tool')?.chat.messages.at(-1));
    };
    expect(await say('USETOOL:window_list {}')).toContain('frozen');
    const offered = new Set(seen.flatMap(({ chat }) => chat.tools?.map((tool) => tool.function.name) ?? []));
    for (const name of Object.keys(agentTools)) expect(offered).toContain(`cwm_${name}`);
    expect(await say('USETOOL:window_delete {"window_name":"frozen"}')).toContain('CWM-8001');
    expect((await backend.client.call('listWindows', {})).items.map(({ name }) => name)).toContain('frozen');
  },
);
