import { setTimeout } from 'node:timers/promises';
import { availableParallelism } from 'node:os';
import type { Llama, LlamaContext, LlamaModel, Token } from 'node-llama-cpp';
import { knownMarkers } from '../model/builtInTemplates.ts';
import type { ModelInfo, StartFault, WorkerConfig } from './workerProtocol.ts';

const defaultContextTokens = 32_768;
const leastContextTokens = 2048;
/** node-llama-cpp shifts the context one token before it is full; a full prompt must still fit. */
const spareTokens = 64;

/** The model cannot be served. */
export class StartError extends Error {
  override readonly name = 'StartError';
  readonly fault: StartFault;

  constructor(fault: StartFault, message: string, cause: unknown) {
    super(message, { cause });
    this.fault = fault;
  }
}

export interface LoadedModel {
  readonly model: LlamaModel;
  readonly context: LlamaContext;
  readonly info: Omit<ModelInfo, 'canTruncate' | 'takesParts'>;
}

/** @throws StartError with llama.cpp's own words. */
export async function loadModel(config: WorkerConfig): Promise<LoadedModel> {
  const words = new LlamaWords();
  const llama = await openLlama(config, words);
  const cores = Math.min(llama.cpuMathCores, availableParallelism());
  const threads = Math.max(1, Math.min(config.threads ?? cores - 1, availableParallelism()));
  const model = await attempt('model', words, () =>
    llama.loadModel({
      modelPath: config.modelPath,
      gpuLayers: llama.gpu === false ? 0 : (config.gpuLayers ?? 'auto'),
    }),
  );
  const wantedTokens = config.contextTokens ?? Math.min(model.trainContextSize, defaultContextTokens);
  const context = await attempt('context', words, () =>
    openContext(model, config, wantedTokens + spareTokens, threads),
  );
  const contextTokens = Math.min(wantedTokens, context.contextSize - spareTokens);
  return { model, context, info: { ...describe(model), ...(await hardwareOf(llama, model)), contextTokens, threads } };
}

/** @throws StartError when this package has no llama.cpp that runs here; its message says where. */
async function openLlama({ gpu }: WorkerConfig, words: LlamaWords): Promise<Llama> {
  const here = `${process.platform}-${process.arch}${gpu === 'auto' || gpu === 'off' ? '' : ` with ${gpu}`}`;
  // Imported here, so that a package without it gives the same error as one without its binary.
  const llamaCpp = await import('node-llama-cpp').catch((cause: unknown) => {
    throw new StartError('binary', here, cause);
  });
  let llama: Llama;
  try {
    llama = await llamaCpp.getLlama({
      gpu: gpu === 'off' ? false : gpu,
      build: 'never',
      skipDownload: true,
      // Limited per context, below: the number of cores is known only now.
      maxThreads: 0,
      logLevel: llamaCpp.LlamaLogLevel.error,
      logger: (_, message) => words.hear(message),
    });
  } catch (cause) {
    throw cause instanceof llamaCpp.NoBinaryFoundError ? new StartError('binary', here, cause) : cause;
  }
  // Skip silently a kind of GPU that this system never has.
  if (gpu !== 'auto' && gpu !== 'off' && llama.gpu !== gpu) throw new StartError('binary', here, null);
  return llama;
}

/** llama.cpp writes the reason of an error to its log; its exception only says "Failed to load model". */
class LlamaWords {
  #last: string[] = [];

  hear(message: string): void {
    process.stderr.write(`${message.trimEnd()}\n`);
    this.#last = [...this.#last, message.trim()].slice(-20);
  }

  /** The reason, for which it waits at most half a second: llama.cpp logs on a thread of its own, so its words may follow the failure. */
  async heard(): Promise<string | null> {
    for (let round = 0; round < 50 && this.#reason === null; round++) await setTimeout(10);
    return this.#reason;
  }

  /** The first that is a reason; the later ones say only that the step before failed. */
  get #reason(): string | null {
    const reasons = this.#last
      .map(withoutFunction)
      .filter((line) => line !== '' && !line.startsWith('failed to load model'));
    return reasons[0] ?? null;
  }
}

/** `llama_model_load: error loading model: the reason` without the parts that only a developer knows. */
const withoutFunction = (line: string): string =>
  line.replace(/^[a-z_0-9]+: (?:error loading model: )?/i, '').replace(/^error loading model[^:]*: /, '');

async function attempt<T>(fault: Exclude<StartFault, 'binary'>, words: LlamaWords, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (cause) {
    const thrown = cause instanceof Error ? cause.message : String(cause);
    throw new StartError(fault, (await words.heard()) ?? thrown, cause);
  }
}

/** The context length when the user set none: as long as the memory allows. */
async function openContext(
  model: LlamaModel,
  config: WorkerConfig,
  contextSize: number,
  threads: number,
): Promise<LlamaContext> {
  const kvType = config.kvType.toUpperCase() as 'F16';
  const options = {
    sequences: 1,
    threads,
    batchSize: config.batchTokens,
    // Never "auto": a state saved with flash attention cannot be loaded without.
    flashAttention: true,
    // A window as large as the context would allow cuts in memory, at a multiple of the memory; states on disk do as well.
    swaFullCache: false,
    ...(config.kvType !== 'f16' && { experimentalKvCacheKeyType: kvType, experimentalKvCacheValueType: kvType }),
  };
  try {
    return await model.createContext({ ...options, contextSize });
  } catch (error) {
    if (config.contextTokens !== null) throw error;
    const min = Math.min(leastContextTokens, contextSize);
    return model.createContext({ ...options, contextSize: { min, max: contextSize } });
  }
}

type Hardware = Pick<ModelInfo, 'llamaCpp' | 'gpu' | 'device'>;

async function hardwareOf(llama: Llama, model: LlamaModel): Promise<Hardware> {
  const llamaCpp = llama.llamaCppRelease.release;
  const { gpu } = llama;
  if (gpu === false || model.gpuLayers === 0) return { llamaCpp, gpu: null, device: 'CPU' };
  const names = await llama.getGpuDeviceNames();
  const layers = model.gpuLayers < model.fileInsights.totalLayers ? `, ${model.gpuLayers} layers` : '';
  return { llamaCpp, gpu, device: `${names.join(' + ') || 'GPU'} (${gpu}${layers})` };
}

function describe(
  model: LlamaModel,
): Omit<ModelInfo, keyof Hardware | 'contextTokens' | 'threads' | 'canTruncate' | 'takesParts'> {
  const { metadata } = model.fileInfo;
  const { tokens } = model;
  const vocabulary = metadata.tokenizer.ggml.tokens;
  const scaling: unknown = Reflect.get(Object(model.fileInfo.architectureMetadata.rope), 'scaling');
  const texts = new Set<unknown>(vocabulary);
  return {
    name: metadata.general.name ?? null,
    architecture: metadata.general.architecture,
    vocabularySize: vocabulary.length,
    bosId: tokens.bos,
    bosText: tokens.bosString ?? '',
    eosText: tokens.eosString ?? '',
    prependBos: tokens.shouldPrependBosToken,
    endIds: Array.from({ length: vocabulary.length }, (_, id) => id).filter((id) => model.isEogToken(id as Token)),
    chatTemplate: metadata.tokenizer.chat_template ?? null,
    markers: knownMarkers.filter((marker) => texts.has(marker)),
    hasScaledPositions: scaling !== undefined && scaling !== null,
  };
}
