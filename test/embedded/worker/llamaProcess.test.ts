import {
  closeSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KvThreads } from '../../../src/embedded/kv/threads/kvThreads.ts';
import { openMemoryFile } from '../../../src/embedded/kv/state/passingState.ts';
import {
  LlamaProcess,
  OperationFailedError,
  WorkerLostError,
  type Llama,
} from '../../../src/embedded/worker/llamaProcess.ts';
import type { OperationInput, WorkerConfig } from '../../../src/embedded/worker/workerProtocol.ts';
import { promptIds } from '../support/engineProcess.ts';
import { generate, openEngine, shortRequest, type EngineParts } from '../support/openEngine.ts';
import { scratch, smallModel, type Scratch } from '../support/smallModel.ts';

describe('a llama.cpp process', () => {
  let folder: Scratch;
  let config: WorkerConfig;
  let memoryFiles: readonly number[] = [];
  const running: Llama[] = [];
  const threads = new KvThreads(2);

  const start = async (onEnd: (reason: string) => void = () => undefined): Promise<Llama> => {
    const llama = await LlamaProcess.start(config, onEnd, memoryFiles);
    running.push(llama);
    return llama;
  };
  /** A process with a state of 300 tokens on disk. */
  const startWithState = async (): Promise<{ llama: Llama; path: string }> => {
    const llama = await start();
    const path = join(folder.path, 'sequence.state');
    await llama.call('evaluate', { ids: Uint32Array.from(promptIds(300, 1)), candidates: null });
    await llama.call('save', { path });
    return { llama, path };
  };

  beforeEach(() => {
    folder = scratch();
    memoryFiles = [];
    config = {
      modelPath: smallModel(folder.path),
      contextTokens: 1024,
      threads: 1,
      gpu: 'off',
      gpuLayers: null,
      kvType: 'f16',
      batchTokens: 512,
      samplePath: join(folder.path, 'sample.state'),
      triesParts: true,
    };
  });
  afterAll(() => threads.close());
  afterEach(() => {
    for (const llama of running.splice(0)) llama.kill();
    folder[Symbol.dispose]();
  });

  it('that aborts over a cut state ends its operation with an error, and only itself', async () => {
    const { llama, path } = await startWithState();
    truncateSync(path, readFileSync(path).length - 100);
    const load = llama.call('load', { path });
    await expect(load).rejects.toThrow(WorkerLostError);
    await expect(load).rejects.toThrow('SIGABRT');
    expect(llama.isAlive).toBe(false);
    await expect(llama.call('truncate', { length: 0 })).rejects.toThrow(WorkerLostError);
  });

  it('that hangs over a state is ended when its time is over', async () => {
    const { llama, path } = await startWithState();
    const bytes = readFileSync(path);
    bytes.writeUInt32LE(0xffff_ffff, 12 + 300 * 4 + 4);
    writeFileSync(path, bytes);
    await expect(llama.call('load', { path }, 1000)).rejects.toThrow('did not finish "load" within 1000 ms');
  });

  it('says no to a file that is no state, and lives', async () => {
    const { llama, path } = await startWithState();
    writeFileSync(path, 'no state');
    await expect(llama.call('load', { path })).rejects.toThrow(OperationFailedError);
    expect(llama.isAlive).toBe(true);
  });

  it('that cannot load its model is an error, and no process stays', async () => {
    writeFileSync(config.modelPath, Buffer.concat([Buffer.from('GGUF'), Buffer.alloc(100)]));
    const ends: string[] = [];
    await expect(LlamaProcess.start(config, (reason) => ends.push(reason))).rejects.toThrow(Error);
    await expect.poll(() => ends).toHaveLength(1);
  });

  it('that cannot save a part of its state keeps its whole context for the next prompt', async () => {
    const llama = await start();
    await llama.call('evaluate', { ids: Uint32Array.from(promptIds(600, 1)), candidates: null });
    const range = { from: 32, to: 64 };
    const save = llama.call('savePart', { path: join(folder.path, 'missing', 'part.state'), ...range });
    await expect(save).rejects.toThrow(OperationFailedError);
    await llama.call('truncate', { length: 0 });
    const full = llama.call('evaluate', { ids: Uint32Array.from(promptIds(1024, 2)), candidates: 0 });
    expect(await full).toMatchObject({ candidates: null });
  });

  it('that is not to try parts of a state takes none', async () => {
    config = { ...config, triesParts: false };
    const llama = await start();
    expect(llama.info.takesParts).toBe(false);
    const refused = llama.call('append', { path: config.samplePath, isFirst: true });
    await expect(refused).rejects.toThrow('This llama.cpp takes no parts of a state.');
  });

  describe('under an engine', () => {
    const engineOver = (
      wrap: (llama: Llama) => Llama,
      batchTokens = 32,
      more: Pick<EngineParts, 'partStateBytes' | 'memoryFiles' | 'kvKey'> = {},
    ) => openEngine({ start, wrap, folder: folder.path, samplePath: config.samplePath, threads, batchTokens, ...more });
    /** So that each part is one block. */
    const smallParts = { partStateBytes: 1 };
    const request = shortRequest;

    it('with large batches, a prompt gives the same bits computed, live, and from disk', async () => {
      const { engine } = await engineOver((llama) => llama, 512);
      const cold = await generate(engine, { topLogprobs: 1 });
      const live = await generate(engine, { topLogprobs: 1 });
      await generate(engine, { promptIds: [1, 2, 3] });
      const fromDisk = await generate(engine, { topLogprobs: 1 });
      expect(live).toEqual({ ...cold, cached: 288 });
      expect(fromDisk).toEqual({ ...cold, cached: 288 });
    });

    const bitForBit = async (passing: Pick<EngineParts, 'memoryFiles' | 'kvKey'>): Promise<void> => {
      const whole = await engineOver((llama) => llama, 512);
      const turn = { topLogprobs: 1, tail: 'store' } as const;
      const expected = await generate(whole.engine, turn);
      const longer = [...shortRequest.promptIds, ...promptIds(200, 3)];
      const expectedLonger = await generate(whole.engine, { topLogprobs: 1, promptIds: longer });
      rmSync(folder.path, { recursive: true, force: true });
      mkdirSync(folder.path);
      smallModel(folder.path);
      const calls: string[] = [];
      const listened = (llama: Llama): Llama => ({
        ...facade(llama),
        get isAlive() {
          return llama.isAlive;
        },
        call: (name, input, timeoutMs) => {
          calls.push(name);
          return llama.call(name, input, timeoutMs);
        },
      });
      const { engine, supervisor, first } = await engineOver(listened, 512, { ...smallParts, ...passing });
      expect(first.info.takesParts).toBe(true);
      first.kill();
      await expect.poll(() => supervisor.restarts).toBe(1);
      expect(await generate(engine, turn)).toEqual(expected);
      await generate(engine, { promptIds: [1, 2, 3] });
      calls.length = 0;
      expect(await generate(engine, { ...turn, tail: 'load' })).toEqual({ ...expected, cached: 299 });
      expect(calls.filter((name) => name === 'append')).toHaveLength(9);
      calls.length = 0;
      expect(await generate(engine, { topLogprobs: 1, promptIds: longer })).toEqual({ ...expectedLonger, cached: 288 });
      expect(calls.filter((name) => name.startsWith('save'))).toEqual(Array.from({ length: 6 }, () => 'savePart'));
      await generate(engine, { promptIds: [1, 2, 3] });
      expect(await generate(engine, { topLogprobs: 1, promptIds: longer })).toEqual({ ...expectedLonger, cached: 480 });
    };

    it('whose state is loaded in parts and saved in parts gives the same bits as one whose state passes whole', () =>
      bitForBit({}));

    it.runIf(openMemoryFile() !== null)(
      'gives the same bits where encrypted and quantised KV passes in parts through memory',
      async () => {
        config = { ...config, kvType: 'q8_0' };
        memoryFiles = [0, 1, 2].map(() => openMemoryFile() ?? -1);
        await bitForBit({ memoryFiles, kvKey: Buffer.alloc(32, 7) });
        expect(readdirSync(folder.path).filter((name) => name.startsWith('sequence'))).toEqual([]);
        for (const file of memoryFiles) closeSync(file);
      },
    );

    it('that dies between two parts of a state costs a process, and no answer', async () => {
      let parts = 0;
      const { engine, supervisor, first } = await engineOver(
        (llama) => ({
          ...facade(llama),
          get isAlive() {
            return llama.isAlive;
          },
          call: (name, input, timeoutMs) => {
            if (name === 'append' && ++parts === 4) llama.kill();
            return llama.call(name, input, timeoutMs);
          },
        }),
        32,
        smallParts,
      );
      const computed = await generate(engine);
      first.kill();
      await expect.poll(() => supervisor.restarts).toBe(1);
      const answer = await generate(engine);
      expect(parts).toBeGreaterThan(4);
      expect(answer.ids).toEqual(computed.ids);
      expect(supervisor.restarts).toBe(2);
    });

    it('that an abort stops in the middle of a prompt has the evaluated part for the next request', async () => {
      const aborting = new AbortController();
      const { engine, supervisor } = await engineOver((llama) => llama);
      const llama = await supervisor.get();
      let evaluations = 0;
      const counted = new Proxy(llama, {
        get: (target, key) => {
          if (key !== 'call') return Reflect.get(target, key, target) as unknown;
          return (name: 'evaluate', input: never) => {
            if (name === 'evaluate' && ++evaluations === 4) aborting.abort();
            return target.call(name, input);
          };
        },
      });
      supervisor.get = async () => counted;
      await expect(engine.generate(request, aborting.signal).next()).rejects.toThrow(aborting.signal.reason as Error);
      expect(evaluations).toBe(4);
      expect((await generate(engine)).cached).toBe(128);
    });

    it('EC-022 that aborts while it loads, as one without memory does, costs the blocks it was given, one process, and no answer', async () => {
      const { engine, supervisor, disk, first } = await engineOver((llama) => cutBeforeLoad(llama));
      const computed = await generate(engine);
      expect(computed.cached).toBe(0);
      first.kill();
      await expect.poll(() => supervisor.restarts).toBe(1);
      const names = disk.hashes(request.promptIds, null);
      expect(disk.missing(names)).toEqual([]);
      const afterAbort = await generate(engine);
      expect(afterAbort).toEqual(computed);
      expect(supervisor.restarts).toBe(2);
      expect(disk.missing(names)).toEqual([]);
    });

    it('that dies with every request is given up, and the engine goes on', async () => {
      let deaths = 0;
      const { engine, supervisor, first } = await engineOver((llama) => ({
        ...facade(llama),
        get isAlive() {
          return llama.isAlive;
        },
        call: (name, input, timeoutMs) => {
          if (name === 'evaluate' && deaths < 3) {
            deaths++;
            llama.kill();
          }
          return llama.call(name, input, timeoutMs);
        },
      }));
      const computed = await generate(engine);
      first.kill();
      await expect.poll(() => supervisor.restarts).toBe(1);
      await expect(generate(engine)).rejects.toThrow(WorkerLostError);
      expect(deaths).toBe(3);
      expect((await generate(engine)).ids).toEqual(computed.ids);
    });
  });
});

const facade = (llama: Llama): Pick<Llama, 'pid' | 'info' | 'kill'> => ({
  pid: llama.pid,
  info: llama.info,
  kill: () => llama.kill(),
});

/** A process whose state file is cut between the check and the load, the first time: what no check can see. */
function cutBeforeLoad(llama: Llama): Llama {
  let isCut = false;
  return {
    ...facade(llama),
    get isAlive() {
      return llama.isAlive;
    },
    call: (name, input, timeoutMs) => {
      if (name === 'load' && !isCut) {
        isCut = true;
        const { path } = input as OperationInput<'load'>;
        truncateSync(path, statSync(path).size - 100);
      }
      return llama.call(name, input, timeoutMs);
    },
  };
}
