import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KvThreads } from '../../../src/embedded/kv/threads/kvThreads.ts';
import { LlamaProcess, type Llama } from '../../../src/embedded/worker/llamaProcess.ts';
import { promptIds } from '../support/engineProcess.ts';
import { generate, openEngine, shortRequest } from '../support/openEngine.ts';
import { scratch, smallModel, type Scratch } from '../support/smallModel.ts';

describe('the KV of a turn behind a long context', () => {
  const context = promptIds(600, 2);
  const turn = { promptIds: [...context, ...promptIds(32, 9)] };
  const threads = new KvThreads(2);
  const running: Llama[] = [];
  let folder: Scratch;
  beforeEach(() => (folder = scratch()));
  afterEach(() => {
    for (const llama of running.splice(0)) llama.kill();
    folder[Symbol.dispose]();
  });
  afterAll(() => threads.close());

  /** An engine that has answered the context, and the steps of what follows. */
  async function engineWithContext(onSave: (llama: Llama) => void = () => undefined) {
    const samplePath = join(folder.path, 'sample.state');
    const config = { contextTokens: 1024, threads: 1, gpu: 'off', gpuLayers: null, kvType: 'f16' } as const;
    const start = async (onEnd: (reason: string) => void): Promise<Llama> => {
      const modelPath = smallModel(folder.path);
      const llama = await LlamaProcess.start(
        { ...config, modelPath, batchTokens: 512, samplePath, triesParts: true },
        onEnd,
      );
      running.push(llama);
      return llama;
    };
    const opened = await openEngine({
      start,
      wrap: (llama) => llama,
      folder: folder.path,
      samplePath,
      threads,
      batchTokens: 512,
    });
    const steps: string[] = [];
    const call: Llama['call'] = LlamaProcess.prototype.call.bind(opened.first);
    opened.first.call = (name, input, timeoutMs) => {
      if (name.startsWith('save')) {
        steps.push('save');
        onSave(opened.first);
      }
      return call(name, input, timeoutMs);
    };
    return { ...opened, steps };
  }

  it("is stored behind the answer with the answer's own, in one save; that of a prompt that was mostly computed, before", async () => {
    const { engine, disk, steps } = await engineWithContext();
    const answer = async (more: { readonly promptIds: readonly number[]; readonly maxTokens: number }) => {
      const ids = [...more.promptIds];
      steps.length = 0;
      for await (const event of engine.generate({ ...shortRequest, ...more }, new AbortController().signal)) {
        steps.push(event.type);
        if (event.type === 'token') ids.push(event.id);
      }
      return ids;
    };
    const tokens = (count: number) => Array.from({ length: count }, () => 'token');
    await answer({ promptIds: context, maxTokens: 2 });
    expect(steps).toEqual(['save', 'prompt', ...tokens(2)]);
    const written = disk.counters.written;
    const known = await answer({ ...turn, maxTokens: 44 });
    expect(steps).toEqual(['prompt', ...tokens(44), 'save']);
    // 600 tokens before, 675 now: the last one was never computed.
    expect(disk.counters.written).toBe(written + 3);
    expect(disk.missing(disk.hashes(known, null))).toEqual([]);
    await answer({ promptIds: known, maxTokens: 1 });
    expect(steps).toEqual(['prompt', 'token']);
  });

  it('is stored, too, where the answer was stopped', async () => {
    const { engine, disk } = await engineWithContext();
    await generate(engine, { promptIds: context });
    const stopping = new AbortController();
    const answer = engine.generate({ ...shortRequest, ...turn }, stopping.signal);
    await answer.next();
    stopping.abort();
    await expect(answer.next()).rejects.toThrow(stopping.signal.reason as Error);
    expect(disk.missing(disk.hashes(turn.promptIds, null))).toEqual([]);
  });

  it('takes no answer with it when llama.cpp dies over the store', async () => {
    let isDeadly = false;
    const { engine, disk } = await engineWithContext((llama) => isDeadly && llama.kill());
    await generate(engine, { promptIds: context });
    isDeadly = true;
    const answered = await generate(engine, turn);
    expect(answered.ids).toHaveLength(shortRequest.maxTokens);
    expect(disk.missing(disk.hashes(turn.promptIds, null))).toEqual([18]);
    expect((await generate(engine, turn)).ids).toEqual(answered.ids);
  });
});
