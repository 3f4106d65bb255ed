import { build } from 'esbuild';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { median, mustHold, type Benchmark, type Figure } from '../benchmark.ts';
import type { Activation } from './activate.ts';

const runs = 20;
const root = path.resolve(import.meta.dirname, '../..');
const run = promisify(execFile);

/** A new process, until it has ended. */
async function processMs(
  script: string,
  args: readonly string[],
): Promise<{ readonly ms: number; readonly said: string }> {
  const started = performance.now();
  const { stdout } = await run(process.execPath, [script, ...args]);
  return { ms: performance.now() - started, said: stdout };
}

/** A new process, from its start to the first line that it answers. */
async function answerMs(
  args: readonly string[],
  question: object,
): Promise<{ readonly ms: number; readonly said: string }> {
  const started = performance.now();
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  child.stdin.write(`${JSON.stringify(question)}\n`);
  while (!said.includes('\n')) {
    if (child.stdout.readableEnded) throw new Error(`${args.join(' ')} ended without an answer.`);
    await Promise.race([once(child.stdout, 'data'), once(child.stdout, 'end')]);
  }
  const ms = performance.now() - started;
  child.stdin.end();
  await once(child, 'exit');
  return { ms, said };
}

const clientInfo = { name: 'bench', version: '1' };
/** The first message of a client in the two forms of the protocol. */
const questions = {
  initialize: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo },
  'server/discover': {
    _meta: {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientInfo': clientInfo,
      'io.modelcontextprotocol/clientCapabilities': {},
    },
  },
};

/** A process that answers a line with a line, and loads nothing. */
const bareEcho = ['-e', 'process.stdin.on("data", (line) => process.stdout.write(line))'];

async function activation(script: string, dist: string, storage: string, signal: AbortSignal): Promise<Figure[]> {
  const [bare, whole, inside, cpu]: [number[], number[], number[], number[]] = [[], [], [], []];
  for (let at = -1; at < runs; at++) {
    signal.throwIfAborted();
    const without = await processMs(script, [dist, storage, 'bare']);
    const { ms, said } = await processMs(script, [dist, storage]);
    const { loadMs, activateMs, cpuMs, failures } = JSON.parse(said) as Activation;
    mustHold(failures.length === 0, `every part of the extension started: ${failures.join('; ')}`);
    // The first of each brings the files into memory.
    if (at < 0) continue;
    bare.push(without.ms);
    whole.push(ms);
    inside.push(loadMs + activateMs);
    cpu.push(cpuMs);
  }
  const baseline = { what: 'a process that does not', value: median(bare) };
  const figure = (what: string, ms: number): Figure => ({
    id: 'START',
    what,
    unit: 'ms',
    value: ms,
    baseline: null,
    ratio: null,
    wanted: '< 30 ms',
    met: ms < 30,
    runs,
  });
  return [
    figure("load of the extension's files and activate(), in a new process", median(inside)),
    figure('its CPU time, which other load changes less', median(cpu)),
    { ...figure('a process that does that, longer than one that does not', median(whole) - baseline.value), baseline },
  ];
}

async function mcpServer(dist: string, storage: string, signal: AbortSignal): Promise<Figure[]> {
  const servers = {
    'node mcp.js': [path.join(dist, 'mcp.js'), '--storage', storage],
    'cwm mcp': [path.join(dist, 'cli.js'), 'mcp', '--storage', storage],
  };
  const cases = Object.entries(servers).flatMap(([name, args]) =>
    Object.entries(questions).map(([method, params]) => {
      const times: number[] = [];
      return { name, args, method, params, times };
    }),
  );
  const bare: number[] = [];
  for (let at = -1; at < runs; at++) {
    for (const { args, method, params, times } of cases) {
      signal.throwIfAborted();
      const question = { jsonrpc: '2.0', id: 1, method, params };
      const without = await answerMs(bareEcho, question);
      const { ms, said } = await answerMs(args, question);
      mustHold(said.includes('context-window-manager'), `the server answers ${method}`);
      if (at < 0) continue;
      bare.push(without.ms);
      times.push(ms);
    }
  }
  const baseline = { what: 'a process that answers with the question', value: median(bare) };
  return cases.map(({ name, method, times }) => {
    const ms = median(times);
    return {
      id: 'START',
      what: `${name}, from the start of its process to its answer to ${method}`,
      unit: 'ms',
      value: ms,
      baseline,
      ratio: ms / baseline.value,
      wanted: '< 300 ms',
      met: ms < 300,
      runs,
    };
  });
}

/** What a user waits for before anything happens: the extension in VS Code, with a stand-in for VS Code itself, and the MCP server of an agent. */
export const start: Benchmark = {
  ids: ['START'],
  async run(signal) {
    const folder = await mkdtemp(path.join(tmpdir(), 'cwm-bench-'));
    const [dist, storage] = [path.join(folder, 'dist'), path.join(folder, 'storage')];
    try {
      await run(process.execPath, [path.join(root, 'esbuild.mjs'), '--outdir', dist], { signal });
      // Node reads the files of the package as modules because its package.json says so. Without it, it would try another form first.
      await copyFile(path.join(root, 'package.json'), path.join(folder, 'package.json'));
      // As one script: Node reads TypeScript with a compiler of its own, which would run beside what is measured.
      const script = path.join(folder, 'activate.mjs');
      const entryPoints = [path.join(import.meta.dirname, 'activate.ts')];
      await build({ entryPoints, outfile: script, bundle: true, platform: 'node', format: 'esm', logLevel: 'warning' });
      return [...(await activation(script, dist, storage, signal)), ...(await mcpServer(dist, storage, signal))];
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};
