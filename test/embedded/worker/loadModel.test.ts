import { availableParallelism } from 'node:os';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { loadModel, StartError, type LoadedModel } from '../../../src/embedded/worker/loadModel.ts';
import type { WorkerConfig } from '../../../src/embedded/worker/workerProtocol.ts';

class NoBinaryFoundError extends Error {}
interface LlamaOptions {
  readonly gpu: unknown;
  readonly logger: (level: string, message: string) => void;
}

/** llama.cpp as `node-llama-cpp` shows it, with what each step gives or throws. */
class FakeLlamaCpp {
  gpu: string | false = false;
  layers = 0;
  deviceNames: string[] = [];
  scaling: unknown = undefined;
  getFails: Error | null = null;
  /** What loading the model says in the log, and throws. */
  modelFails: { readonly says: readonly string[]; readonly error: unknown } | null = null;
  /** Contexts of a fixed size fail with this. */
  contextFails: Error | null = null;
  contexts: Record<string, unknown>[] = [];
  models: Record<string, unknown>[] = [];
  options: LlamaOptions | null = null;

  getLlama(options: LlamaOptions): object {
    this.options = options;
    if (this.getFails) throw this.getFails;
    return {
      gpu: this.gpu,
      cpuMathCores: 64,
      llamaCppRelease: { release: 'b7000' },
      getGpuDeviceNames: async () => this.deviceNames,
      loadModel: async (given: Record<string, unknown>) => this.#loadModel(given),
    };
  }

  #loadModel(given: Record<string, unknown>): object {
    this.models.push(given);
    if (this.modelFails) {
      for (const line of this.modelFails.says) this.options?.logger('error', line);
      throw this.modelFails.error;
    }
    return {
      trainContextSize: 100_000,
      gpuLayers: this.layers,
      fileInsights: { totalLayers: 30 },
      fileInfo: {
        metadata: {
          general: { architecture: 'llama', name: 'A Model' },
          tokenizer: { ggml: { tokens: ['a', 'b', '<|im_start|>', '</s>'] }, chat_template: '{{ x }}' },
        },
        architectureMetadata: { rope: { scaling: this.scaling } },
      },
      tokens: { bos: 1, bosString: '<s>', eosString: '</s>', shouldPrependBosToken: true },
      isEogToken: (id: number) => id === 3,
      createContext: async (wanted: Record<string, unknown>) => this.#createContext(wanted),
    };
  }

  #createContext(wanted: Record<string, unknown>): object {
    this.contexts.push(wanted);
    const { contextSize } = wanted as { contextSize: number | { readonly max: number } };
    if (typeof contextSize !== 'number') return { contextSize: 5000 };
    if (this.contextFails) throw this.contextFails;
    return { contextSize };
  }
}

interface Held {
  fake: unknown;
  afterPause: () => void;
  pauses: number;
}
const { held } = vi.hoisted(() => {
  const empty: Held = { fake: null, afterPause: () => {}, pauses: 0 };
  return { held: empty };
});
const fake = (): FakeLlamaCpp => held.fake as FakeLlamaCpp;
/** Lines of the engine's own log. */
let logged: string[];
vi.mock('node-llama-cpp', () => ({
  get getLlama() {
    return (options: LlamaOptions) => fake().getLlama(options);
  },
  NoBinaryFoundError,
  LlamaLogLevel: { error: 'error' },
}));
// Words of llama.cpp are waited for; here no time passes.
vi.mock('node:timers/promises', async (original) => ({
  ...(await original<object>()),
  setTimeout: async () => {
    held.pauses++;
    held.afterPause();
  },
}));

const config: WorkerConfig = {
  modelPath: '/models/a.gguf',
  contextTokens: null,
  threads: 1,
  gpu: 'auto',
  gpuLayers: null,
  kvType: 'f16',
  batchTokens: 512,
  triesParts: false,
  samplePath: '/run/sample',
};
const load = (changes: Partial<WorkerConfig> = {}): Promise<LoadedModel> => loadModel({ ...config, ...changes });
const here = `${process.platform}-${process.arch}`;

beforeEach(() => {
  held.fake = new FakeLlamaCpp();
  held.afterPause = () => {};
  held.pauses = 0;
  logged = [];
  vi.spyOn(process.stderr, 'write').mockImplementation((line) => {
    logged.push(String(line));
    return true;
  });
});

describe('a model that llama.cpp loads', () => {
  it('is described as its file and the vocabulary say', async () => {
    const { info } = await load();
    expect(info).toEqual({
      llamaCpp: 'b7000',
      name: 'A Model',
      architecture: 'llama',
      gpu: null,
      device: 'CPU',
      contextTokens: 32_768,
      threads: 1,
      vocabularySize: 4,
      bosId: 1,
      bosText: '<s>',
      eosText: '</s>',
      prependBos: true,
      endIds: [3],
      chatTemplate: '{{ x }}',
      markers: ['<|im_start|>'],
      hasScaledPositions: false,
    });
    fake().scaling = { type: 'yarn' };
    expect((await load()).info.hasScaledPositions).toBe(true);
  });

  it('runs on no more threads than the machine has cores, and on all but one where nobody asked', async () => {
    const cores = availableParallelism();
    expect((await load({ threads: 1000 })).info.threads).toBe(cores);
    expect((await load({ threads: null })).info.threads).toBe(Math.max(1, cores - 1));
  });

  it('has a context as long as was asked for, with room for the token before which llama.cpp would shift it', async () => {
    const { info } = await load({ contextTokens: 1000, batchTokens: 64 });
    expect(info.contextTokens).toBe(1000);
    expect(fake().contexts).toEqual([
      { sequences: 1, threads: 1, batchSize: 64, flashAttention: true, swaFullCache: false, contextSize: 1064 },
    ]);
  });

  it('stores KV in the type that was asked for', async () => {
    await load({ kvType: 'q8_0' });
    expect(fake().contexts[0]).toMatchObject({
      experimentalKvCacheKeyType: 'Q8_0',
      experimentalKvCacheValueType: 'Q8_0',
    });
  });

  it('has a context as long as the memory allows where nobody asked for a length', async () => {
    fake().contextFails = new Error('not enough VRAM');
    expect((await load()).info.contextTokens).toBe(5000 - 64);
    expect(fake().contexts[1]).toMatchObject({ contextSize: { min: 2048, max: 32_832 } });
  });
});

describe('what computes', () => {
  it('is named: the GPU, and how many layers are on it where not all fit', async () => {
    Object.assign(fake(), { gpu: 'cuda', layers: 30, deviceNames: ['H200', 'H200'] });
    expect((await load()).info).toMatchObject({ gpu: 'cuda', device: 'H200 + H200 (cuda)' });
    Object.assign(fake(), { layers: 12, deviceNames: [] });
    expect((await load()).info.device).toBe('GPU (cuda, 12 layers)');
  });

  it('is the CPU where no layer fits on the GPU, or no GPU is wanted', async () => {
    Object.assign(fake(), { gpu: 'cuda', layers: 0 });
    expect((await load()).info).toMatchObject({ gpu: null, device: 'CPU' });
    fake().gpu = false;
    await load({ gpu: 'off', gpuLayers: 10 });
    expect(fake().options?.gpu).toBe(false);
    expect(fake().models.at(-1)).toEqual({ modelPath: '/models/a.gguf', gpuLayers: 0 });
  });

  it('is given as many layers as the user says', async () => {
    Object.assign(fake(), { gpu: 'vulkan', layers: 10 });
    await load({ gpuLayers: 10 });
    await load();
    expect(fake().models.map(({ gpuLayers }) => gpuLayers)).toEqual([10, 'auto']);
  });
});

describe('K3 a model that cannot be served', () => {
  const faultOf = async (changes: Partial<WorkerConfig> = {}) => {
    const error: unknown = await load(changes).then(
      () => null,
      (thrown: unknown) => thrown,
    );
    if (!(error instanceof StartError)) throw error;
    return { fault: error.fault, message: error.message };
  };

  it('has no llama.cpp for this machine, or none for the GPU that was asked for', async () => {
    fake().getFails = new NoBinaryFoundError();
    expect(await faultOf()).toEqual({ fault: 'binary', message: here });
    expect(await faultOf({ gpu: 'cuda' })).toEqual({ fault: 'binary', message: `${here} with cuda` });
    fake().getFails = null;
    fake().gpu = false;
    expect(await faultOf({ gpu: 'metal' })).toEqual({ fault: 'binary', message: `${here} with metal` });
  });

  it('is not blamed on the machine where llama.cpp fails for another reason', async () => {
    fake().getFails = new Error('a bug');
    await expect(load()).rejects.toThrow('a bug');
  });

  it('says why in the words of the log, without those of a developer', async () => {
    fake().modelFails = {
      says: ["llama_model_load: error loading model: unknown model architecture: 'x'\n", 'failed to load model\n'],
      error: new Error('Failed to load model'),
    };
    expect(await faultOf()).toEqual({ fault: 'model', message: "unknown model architecture: 'x'" });
    expect(logged.at(-1)).toBe('failed to load model\n');
    expect(held.pauses).toBe(0);
  });

  it('waits for words that follow the failure, but not for ever', async () => {
    fake().modelFails = { says: [], error: new Error('Failed to load model') };
    held.afterPause = () => {
      if (held.pauses === 3) fake().options?.logger('error', 'gguf_init: error loading model x: the file is cut');
    };
    expect((await faultOf()).message).toBe('the file is cut');
    expect(held.pauses).toBe(3);
    held.afterPause = () => {};
    fake().modelFails = { says: ['failed to load model'], error: 'thrown as a text' };
    expect((await faultOf()).message).toBe('thrown as a text');
  });

  it('has no memory for the context that was asked for', async () => {
    fake().contextFails = new Error('Failed to create context');
    expect(await faultOf({ contextTokens: 4096 })).toEqual({ fault: 'context', message: 'Failed to create context' });
    expect(fake().contexts).toHaveLength(1);
  });
});
