import { fork, type ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { programOf } from '../../support/programOf.ts';
import { blockHashChain } from '../../../src/base/kvBlockHash.ts';

// The benchmarks start it from its source; the tests, from its bundle.
const entry = programOf('embedded');

export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly prompt_tokens_details: { readonly cached_tokens: number };
}

export interface Completion {
  readonly choices: readonly {
    readonly text: string;
    readonly finish_reason: string;
    readonly stop_reason: string | number | null;
    readonly token_ids: readonly number[];
    readonly prompt_token_ids: readonly number[];
    readonly logprobs: {
      readonly tokens: readonly string[];
      readonly token_logprobs: readonly number[];
      readonly top_logprobs: readonly Readonly<Record<string, number>>[];
    } | null;
  }[];
  readonly usage: Usage;
}

/** What is compared between two runs: the same tokens, and the same bits of their log-probabilities. */
export const saidBy = ({ choices }: Completion): unknown => ({
  ids: choices[0]?.token_ids,
  logprobs: choices[0]?.logprobs?.top_logprobs,
});

export const cachedBy = ({ usage }: Completion): number => usage.prompt_tokens_details.cached_tokens;

/** The engine as a process of its own, as the backend runs it. */
export class EngineProcess {
  readonly url: string;
  readonly workerPid: number;
  readonly kvDir: string;
  readonly #child: ChildProcess;

  static start(kvDir: string, ...flags: string[]): Promise<EngineProcess> {
    return EngineProcess.startWith({}, kvDir, ...flags);
  }

  /** @param env besides this process' own. */
  static startWith(env: NodeJS.ProcessEnv, kvDir: string, ...flags: string[]): Promise<EngineProcess> {
    return EngineProcess.#startFrom(entry, env, kvDir, flags);
  }

  /** The engine of a bundle. */
  static startBundled(bundle: string, kvDir: string, ...flags: string[]): Promise<EngineProcess> {
    return EngineProcess.#startFrom(bundle, {}, kvDir, flags);
  }

  static async #startFrom(program: string, env: NodeJS.ProcessEnv, kvDir: string, flags: readonly string[]) {
    const child = forkEngine(['--kv-dir', kvDir, '--threads', '1', ...flags], env, program);
    const message = await firstMessage(child);
    if (!('url' in message)) throw new Error(`The engine did not start: ${JSON.stringify(message)}`);
    return new EngineProcess(child, kvDir, message);
  }

  private constructor(child: ChildProcess, kvDir: string, ready: ReadyMessage) {
    this.#child = child;
    this.kvDir = kvDir;
    this.url = ready.url;
    this.workerPid = ready.workerPid;
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  async get<T = unknown>(path: string): Promise<T> {
    const response = await fetch(this.url + path);
    return (await response.json()) as T;
  }

  post(path: string, body: unknown, init: RequestInit = {}): Promise<Response> {
    return fetch(this.url + path, { method: 'POST', body: JSON.stringify(body), ...init });
  }

  async json<T>(path: string, body: unknown): Promise<T> {
    const response = await this.post(path, body);
    const answer: unknown = await response.json();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${JSON.stringify(answer)}`);
    return answer as T;
  }

  /** Eight greedy tokens with their best alternatives. */
  complete(prompt: readonly number[], more: object = {}): Promise<Completion> {
    return this.json('/v1/completions', {
      prompt,
      max_tokens: 8,
      temperature: 0,
      logprobs: 5,
      return_token_ids: true,
      return_tokens_as_token_ids: true,
      ...more,
    });
  }

  /** A counter's value, summed over its series whose labels contain `label`. */
  async metric(name: string, label = ''): Promise<number> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    return text
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`) && line.includes(label))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
  }

  async blockFile(hash: string): Promise<string> {
    return join(await this.blockDir(), hash.slice(0, 2), `${hash}.kv`);
  }

  /** Where a piece of KV of this name is, for models that tell no folder of blocks too. */
  async kvFile(hash: string): Promise<string> {
    const namespace = readdirSync(this.kvDir).find((name) => /^[0-9a-f]{32}$/.test(name)) ?? '';
    return join(this.kvDir, namespace, hash.slice(0, 2), `${hash}.kv`);
  }

  async blockDir(): Promise<string> {
    const models = await this.get<{ data: { cwm: { blockDir: string } }[] }>('/v1/models');
    return models.data[0]?.cwm.blockDir ?? '';
  }

  /** Every block file there is, by path. */
  async blockFiles(): Promise<Map<string, Buffer>> {
    const folder = await this.blockDir();
    const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.kv'));
    return new Map(names.map((name) => [join(folder, name), readFileSync(join(folder, name))]));
  }

  /** As the machine does when it has to: no word to anybody. */
  async kill(): Promise<void> {
    await ended(this.#child, () => this.#child.kill('SIGKILL'));
  }

  /** Lets go of the process, as a parent does that dies. */
  async abandon(): Promise<void> {
    await ended(this.#child, () => this.#child.disconnect());
  }
}

/** Names of the blocks of a prompt, of the size that suits small models. */
export const blockNames = (ids: readonly number[], salt: string | null = null, blockTokens = 32): string[] =>
  blockHashChain({ algorithm: 'sha256_cbor', seed: 'vllm-none-hash', saltEncoding: 'tagged' }, ids, blockTokens, salt);

/** Ids of words, none like another test's. */
export const promptIds = (length: number, seed: number): number[] =>
  Array.from({ length }, (_, index) => 300 + ((index * 7919 + seed * 104_729) % 3000));

export interface ReadyMessage {
  readonly url: string;
  readonly pid: number;
  readonly workerPid: number;
}

export interface FailureMessage {
  readonly error: { readonly code: string; readonly message: string };
}

export function forkEngine(args: readonly string[], env: NodeJS.ProcessEnv = {}, program = entry): ChildProcess {
  return fork(program, args, {
    execArgv: [],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { ...process.env, ...env },
  });
}

/** The first thing the engine says over IPC. */
export function firstMessage(child: ChildProcess): Promise<ReadyMessage | FailureMessage> {
  let log = '';
  child.stderr?.on('data', (chunk: Buffer) => (log += chunk.toString()));
  child.stdout?.resume();
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve(message as ReadyMessage | FailureMessage));
    child.once('exit', (code, signal) => reject(new Error(`The engine ended with ${signal ?? code}: ${log}`)));
  });
}

export async function ended(child: ChildProcess, end: () => void): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise((resolve) => child.once('exit', resolve));
  end();
  await exited;
}
