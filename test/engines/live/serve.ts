/**
 * `npm run engines:serve vllm|llama-server [-- --port N --model NAME --data DIR]`: a real model server to try the extension
 * against, until Ctrl-C. What it stores stays for its next start, so that a window can be frozen, the server ended, and thawed.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { enginesFolder } from './cacheFolder.ts';
import { freePort, type ModelServer } from './guardedServer.ts';
import { llamaModel } from './llamaModel.ts';
import { startLlamaServer } from './llamaServer.ts';
import { vllmModel } from './vllmModel.ts';
import { startVllm } from './vllmServer.ts';

interface ServeOptions {
  readonly port: number;
  readonly model: string | undefined;
  /** Where it stores KV. */
  readonly dataDir: string;
  readonly signal: AbortSignal;
}

const usage = `Usage: npm run engines:serve vllm [-- --port N --model tiny|mid --data DIR]
       npm run engines:serve llama-server [-- --port N --model FILE.gguf --data DIR]`;

const usualPorts: Readonly<Record<'vllm' | 'llama-server', number>> = { vllm: 8000, 'llama-server': 8080 };
const log = (line: string): void => console.log(line);

async function serveVllm({ port, model = 'mid', dataDir: kvDir, signal }: ServeOptions): Promise<ModelServer> {
  if (model !== 'tiny' && model !== 'mid') throw new Error(`vLLM serves the model tiny or mid here, not ${model}.`);
  const made = await vllmModel(model, { signal, log });
  log('Starting vLLM; this takes about half a minute …');
  return startVllm({ model: made, connector: 'tiered', kvDir, port }, signal);
}

async function serveLlama({ port, model, dataDir: slotDir, signal }: ServeOptions): Promise<ModelServer> {
  const modelPath = model ?? (await llamaModel({ signal }));
  return startLlamaServer({ modelPath, slotDir, port }, signal);
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { port: { type: 'string' }, model: { type: 'string' }, data: { type: 'string' } },
  });
  const [name, ...rest] = positionals;
  if ((name !== 'vllm' && name !== 'llama-server') || rest.length > 0) throw new Error(usage);
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interrupted.abort());

  const port = values.port === undefined ? await freePort(usualPorts[name]) : Number(values.port);
  const dataDir = values.data ?? join(enginesFolder(), 'served', name);
  await mkdir(dataDir, { recursive: true });
  const options: ServeOptions = { port, model: values.model, dataDir, signal: interrupted.signal };
  try {
    await using server = await (name === 'vllm' ? serveVllm(options) : serveLlama(options));
    log(`\n${name} is ready at ${server.url} (its log: ${server.logFile}; its KV: ${dataDir}).`);
    const engine = `${server.url}#${name === 'vllm' ? 'tier' : 'slots'}=${dataDir}`;
    log('To use it for new sessions, in VS Code and on the command line, run this in another terminal:\n');
    log(`  npm run --silent cwm -- use "${engine}"\n\nor "Choose Model Server…" in VS Code. Ctrl-C ends it.`);
    const ending = await Promise.race([server.ended, aborted(interrupted.signal)]);
    if (ending !== undefined) throw new Error(`${name} ended by itself: ${ending}.`);
  } catch (error) {
    if (!interrupted.signal.aborted) throw error;
  }
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
