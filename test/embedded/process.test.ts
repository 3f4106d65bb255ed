import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { programOf } from '../support/programOf.ts';
import {
  cachedBy,
  ended,
  EngineProcess,
  firstMessage,
  forkEngine,
  promptIds,
  saidBy,
} from './support/engineProcess.ts';
import { scratch, smallModel, type Scratch } from './support/smallModel.ts';
import { VllmEngine } from '../../src/engines/vllm/vllmEngine.ts';
import { until } from '../support/until.ts';
import { isRunning } from '../support/isRunning.ts';

describe("the embedded engine's process", () => {
  let folder: Scratch;
  let kvDir: string;
  beforeEach(() => {
    folder = scratch();
    kvDir = join(folder.path, 'kv');
  });
  afterEach(() => folder[Symbol.dispose]());

  it('answers a request whose llama.cpp process is killed, and every one after it', async () => {
    const engine = await EngineProcess.start(kvDir, '--model', smallModel(folder.path));
    try {
      const prompt = promptIds(2000, 1);
      const whole = await engine.complete(prompt, { max_tokens: 200, cache_salt: 'a' });
      const generated = (): Promise<number> => engine.metric('vllm:generation_tokens_total');
      const before = await generated();
      const answer = engine.complete(prompt, { max_tokens: 200, cache_salt: 'b' });
      await until('some tokens', async () => (await generated()) > before + 5);
      process.kill(engine.workerPid, 'SIGKILL');
      expect(saidBy(await answer)).toEqual(saidBy(whole));
      await until('one new process', async () => (await engine.metric('cwm:llama_restarts_total')) === 1);
      expect(cachedBy(await engine.complete(prompt, { cache_salt: 'b' }))).toBe(1984);
      expect((await engine.get<{ cwm: { workerPid: number } }>('/version')).cwm.workerPid).not.toBe(engine.workerPid);
    } finally {
      await engine.kill();
    }
  });

  it('ends with its parent, and llama.cpp with it', async () => {
    const engine = await EngineProcess.start(kvDir, '--model', smallModel(folder.path));
    await engine.abandon();
    await until('the end of llama.cpp', () => !isRunning(engine.workerPid));
    expect(readdirSync(kvDir).filter((name) => name.startsWith('run-'))).toEqual([]);
  });

  it('when it is killed, llama.cpp ends too, and the next start clears up', async () => {
    const model = smallModel(folder.path);
    const engine = await EngineProcess.start(kvDir, '--model', model);
    await engine.kill();
    await until('the end of llama.cpp', () => !isRunning(engine.workerPid));
    const next = await EngineProcess.start(kvDir, '--model', model);
    expect(readdirSync(kvDir).filter((name) => name.startsWith('run-'))).toEqual([`run-${next.pid}`]);
    await next.kill();
  });

  it('without a parent, prints one line when it serves, and ends with SIGTERM', async () => {
    const entry = programOf('embedded');
    const child = spawn(process.execPath, [entry, '--kv-dir', kvDir, '--model', smallModel(folder.path)], {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, CWM_ENGINE_TOKEN: 'secret' },
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    await until('a line', () => output.includes('\n'));
    const { url, pid, workerPid, ...rest } = JSON.parse(output) as { url: string; pid: number; workerPid: number };
    expect({ pid, rest }).toEqual({ pid: child.pid, rest: {} });
    expect(isRunning(workerPid)).toBe(true);
    const status = async (headers: Record<string, string>, path = '/v1/models'): Promise<number> =>
      (await fetch(url + path, { headers })).status;
    expect(await status({})).toBe(401);
    expect(await status({ authorization: 'Bearer wrong' })).toBe(401);
    expect(await status({ authorization: 'Bearer secret' })).toBe(200);
    expect(await status({}, '/health')).toBe(200);
    expect(await status({ authorization: 'Bearer secret', origin: 'http://evil.example' })).toBe(403);
    const exit = once(child, 'exit');
    child.kill('SIGTERM');
    expect(await exit).toEqual([0, null]);
    await until('the end of llama.cpp', () => !isRunning(workerPid));
  });

  it('makes its own model when it is given none, says that its text is noise, and makes a damaged one again', async () => {
    const path = join(kvDir, 'models', 'cwm-noise-2.gguf');
    mkdirSync(join(kvDir, 'models'), { recursive: true });
    writeFileSync(path, 'half a mod');
    const engine = await EngineProcess.start(kvDir, '--context', '512');
    const { data } = await engine.get<{
      data: { id: string; root: string; max_model_len: number; cwm: { notice: string } }[];
    }>('/v1/models');
    await engine.kill();
    expect(data[0]).toMatchObject({ id: 'cwm-noise-2', root: path, max_model_len: 512 });
    expect(data[0]?.cwm.notice).toContain('text is noise');
    expect(readFileSync(path).length).toBeGreaterThan(1_000_000);
    expect(existsSync(join(kvDir, 'CACHEDIR.TAG'))).toBe(true);
  });

  describe('that cannot start says so in one line, and exits with 1', () => {
    const failure = async (...args: string[]): Promise<{ code: string; message: string }> => {
      const child = forkEngine(args);
      let output = '';
      child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
      const message = await firstMessage(child);
      await ended(child, () => undefined);
      expect(child.exitCode).toBe(1);
      expect(JSON.parse(output)).toEqual(message);
      return 'error' in message ? message.error : { code: 'none', message: JSON.stringify(message) };
    };

    it('for a file that is no GGUF', async () => {
      const path = join(folder.path, 'text.gguf');
      writeFileSync(path, 'Not a model.');
      expect(await failure('--kv-dir', kvDir, '--model', path)).toMatchObject({
        code: 'CWM-1201',
        message: `${path} is not a GGUF file.`,
      });
    });

    it('for a GGUF that is cut off', async () => {
      const path = smallModel(folder.path);
      const whole = readFileSync(path);
      writeFileSync(path, whole.subarray(0, whole.length / 2));
      const { code, message } = await failure('--kv-dir', kvDir, '--model', path);
      expect(code).toBe('CWM-1201');
      // llama.cpp's own words.
      expect(message).toMatch(/not within the file bounds, model is corrupted or incomplete/);
    });

    it('for a file that is not there', async () => {
      expect(await failure('--kv-dir', kvDir, '--model', join(folder.path, 'none.gguf'))).toMatchObject({
        code: 'CWM-2009',
      });
    });

    it('for a folder that it cannot write', async () => {
      writeFileSync(kvDir, 'a file');
      expect(await failure('--kv-dir', kvDir)).toMatchObject({ code: 'CWM-4001' });
    });

    it('for a flag that it does not know', async () => {
      expect(await failure('--kv-dir', kvDir, '--unknown', '1')).toMatchObject({ code: 'CWM-1003' });
    });
  });

  it('K7 ends when its model file became another, before anything is computed over the KV of the old one', async () => {
    const model = smallModel(folder.path);
    const engine = await EngineProcess.start(kvDir, '--model', model);
    const prompt = promptIds(100, 4);
    await engine.complete(prompt);
    smallModel(folder.path, 8);
    const response = await engine.post('/v1/completions', { prompt, max_tokens: 1 });
    expect(response.status).toBe(503);
    expect(await response.text()).toContain('has changed since it was loaded');
    await until('the engine has ended', () => !isRunning(engine.pid));
    const next = await EngineProcess.start(kvDir, '--model', model);
    try {
      expect(cachedBy(await next.complete(prompt))).toBe(0);
    } finally {
      await next.kill();
    }
  });

  it('continues without storing blocks when their folder cannot be written', async () => {
    const engine = await EngineProcess.start(kvDir, '--model', smallModel(folder.path));
    try {
      const blockDir = await engine.blockDir();
      rmSync(blockDir, { recursive: true });
      writeFileSync(blockDir, 'a file where a folder should be');
      await expectUnkept(engine);
      const doctor = new VllmEngine({ spec: 'embedded', connect: async () => ({ url: engine.url }) });
      const { items } = await doctor.probe(new AbortController().signal);
      const stored = items.filter(({ name, state }) => /block-files|persistence/.test(name) && state === 'yes');
      expect(stored).toEqual([]);
      await doctor.close();
    } finally {
      await engine.kill();
    }
  });

  it('makes its folders again when somebody deleted them, and stores the next prompt', async () => {
    const engine = await EngineProcess.start(kvDir, '--model', smallModel(folder.path));
    try {
      rmSync(kvDir, { recursive: true });
      const prompt = promptIds(300, 3);
      const first = await engine.complete(prompt);
      await engine.complete([1, 2, 3], { max_tokens: 1 });
      const again = await engine.complete(prompt);
      expect(cachedBy(again)).toBe(288);
      expect(saidBy(again)).toEqual(saidBy(first));
      expect(await engine.metric('cwm:kv_blocks_write_failures_total')).toBe(0);
    } finally {
      await engine.kill();
    }
  });

  it('continues without storing blocks when the disk is full', async (context) => {
    mkdirSync(kvDir);
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', kvDir], { stdio: 'ignore' });
    } catch {
      context.skip('A small file system can be mounted by root on Linux only.');
    }
    const engine = await EngineProcess.start(kvDir, '--model', smallModel(folder.path));
    try {
      await expectUnkept(engine);
    } finally {
      await engine.kill();
      execFileSync('umount', [kvDir]);
    }
  });

  async function expectUnkept(engine: EngineProcess): Promise<void> {
    const prompt = promptIds(1500, 2);
    const first = await engine.complete(prompt);
    expect(first.choices[0]?.token_ids).toHaveLength(8);
    expect(await engine.metric('cwm:kv_blocks_write_failures_total')).toBeGreaterThan(0);
    await engine.complete([1, 2, 3], { max_tokens: 1 });
    const again = await engine.complete(prompt);
    expect(cachedBy(again)).toBeLessThan(1472);
    expect(saidBy(again)).toEqual(saidBy(first));
  }
});
