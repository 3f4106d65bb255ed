import type { AddressInfo } from 'node:net';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createAdaptorServer } from '@hono/node-server';
import { CwmError } from '../protocol/errors.ts';
import { productVersion } from '../protocol/version.ts';
import { lanesOfParts } from './kv/diskCache.ts';
import { openDisk } from './kv/openDisk.ts';
import { usualBlockTokens } from './kv/state/kvLayout.ts';
import { KvThreads } from './kv/threads/kvThreads.ts';
import { openLargeMemoryFiles } from './kv/state/largePages.ts';
import { openMemoryFile, PassingState } from './kv/state/passingState.ts';
import { PrefixCache } from './kv/prefixCache.ts';
import { EmbeddedEngine } from './engine.ts';
import { buildApp } from './http/app.ts';
import { LlamaProcess, OperationFailedError, WorkerLostError } from './worker/llamaProcess.ts';
import { LlamaSupervisor } from './worker/llamaSupervisor.ts';
import { startsWithTrial } from './worker/partsTrial.ts';
import { chooseTemplate } from './model/chooseTemplate.ts';
import { openModel } from './model/openModel.ts';
import { noiseModelPrefix } from './noiseModel/noiseModel.ts';
import { noiseNotice } from './noiseModel/noiseModelFile.ts';
import type { EmbeddedOptions } from './options.ts';
import { openRunFolder } from './worker/runFolder.ts';
import { startFailure } from './startFailure.ts';
import type { WorkerConfig } from './worker/workerProtocol.ts';
import type { EngineModel } from './engineModel.ts';

export interface Secrets {
  /** What clients must know; undefined for none. */
  readonly token: string | undefined;
  /** What KV is encrypted with, 32 bytes; null for KV in clear. */
  readonly kvKey: Uint8Array | null;
}

export interface RunningEngine {
  readonly url: string;
  /** Of the llama.cpp process as it is now; another after it died. */
  readonly workerPid: number;
  /** Ends everything at once; requests in progress are cut off. */
  close(): void;
}

/** Tokens per evaluation: enough to keep the matrix kernels busy, few enough to notice an abort. */
const batchTokens = 512;
/** Longer than clients keep an idle connection, so that the clients close it. */
const keepAliveTimeoutMs = 65_000;

const notStoredNotice =
  "This version of llama.cpp saves the model's state in an unknown form, so its KV cache does not survive a restart.";

/**
 * Starts the engine: model, llama.cpp, KV folder, HTTP server on the loopback address.
 *
 * @param onModelChanged called when the model's file is another one than that which was loaded: the process must end, and
 *   serves nothing from then on.
 * @throws CwmError NotAModel for a file that is no model, PathNotFound, NoEngineBinary, Exhausted, EngineUnavailable when
 *   llama.cpp died of it, WriteFailed, StorageFull, InvalidConfig for a broken chat template or a port that is taken.
 */
export async function serveEmbedded(
  options: EmbeddedOptions,
  { token, kvKey }: Secrets,
  onModelChanged: () => void,
  log: (message: string) => void,
): Promise<RunningEngine> {
  const runFolder = openRunFolder(options.kvDir);
  const largePages = openLargeMemoryFiles(lanesOfParts);
  const files = await openModel(options.modelPath, options.kvDir, log);
  const opened: readonly (number | null)[] = (await largePages) ?? Array.from({ length: lanesOfParts }, openMemoryFile);
  const passing = opened.map((file, place) => new PassingState(runFolder, opened.includes(null) ? null : file, place));
  const memoryFiles = passing.map(({ memoryFile }) => memoryFile).filter((file) => file !== null);
  const threads = new KvThreads();
  threads.start();
  const samplePath = join(runFolder, 'sample.state');
  const startProcess = startsWithTrial(
    ({ config, onEnd }: { readonly config: WorkerConfig; readonly onEnd: (reason: string) => void }, triesParts) =>
      LlamaProcess.start({ ...config, triesParts }, onEnd, memoryFiles),
  );
  const supervisor = new LlamaSupervisor(async (onEnd) => {
    // Other weights would continue the KV of these.
    if (!files.isUnchanged()) return endForNewModel();
    // Somebody may have deleted it by now.
    mkdirSync(runFolder, { recursive: true, mode: 0o700 });
    const config = { ...options, modelPath: files.path, batchTokens, samplePath, triesParts: true };
    return startLlama(config, options.modelPath === null, (one) => startProcess({ config: one, onEnd }), log);
  }, log);
  const endForNewModel = (): never => {
    log(
      `${files.path} has changed since it was loaded. The engine ends; the next request starts it with the new model.`,
    );
    onModelChanged();
    throw new CwmError('EngineUnavailable', `The model file ${files.path} has changed since it was loaded.`, {
      hint: 'Try again: the engine starts with the new file.',
    });
  };
  try {
    const { info } = await supervisor.get().catch((cause: unknown) => {
      throw startFailure(files.path, cause);
    });
    const template = chooseTemplate(info, options.chatTemplate);
    const disk = openDisk({
      kvDir: options.kvDir,
      blockTokens: options.blockTokens,
      info,
      modelSha256: files.sha256,
      samplePath,
      kvKey,
      runFolder,
      passing,
      threads,
      log,
    });
    disk?.cache.warmUp();
    const blockTokens = disk?.cache.blockTokens ?? options.blockTokens ?? usualBlockTokens(null);
    const isNoise = info.name?.startsWith(noiseModelPrefix) === true;
    const notices = [isNoise ? noiseNotice : null, template.notice, disk ? null : notStoredNotice].filter(
      (notice) => notice !== null,
    );
    const model: EngineModel = {
      id: files.name,
      path: files.path,
      sha256: files.sha256,
      info,
      template,
      notice: notices.length === 0 ? null : notices.join(' '),
      blockTokens,
      blocks: disk?.blocks ?? null,
      startedAt: new Date(),
    };
    const engine = new EmbeddedEngine({
      supervisor,
      cache: new PrefixCache({
        disk: disk?.cache ?? null,
        blockTokens,
        loadTimeoutMs: options.loadTimeoutMs,
        log,
      }),
      blockTokens,
      // Random weights turn a difference in the last bit into another word a few tokens on. Block by block, every row is
      // the same however its prompt was split.
      batchTokens: isNoise ? blockTokens : Math.max(1, Math.floor(batchTokens / blockTokens)) * blockTokens,
      log,
    });
    const version = `${productVersion} (llama.cpp ${info.llamaCpp}, ${info.device})`;
    const app = buildApp({
      model,
      engine,
      supervisor,
      disk: disk?.cache ?? null,
      pack: disk?.pack ?? null,
      token,
      version,
      checkModel: () => {
        if (!files.isUnchanged()) endForNewModel();
      },
      log,
    });
    const server = createAdaptorServer({ fetch: app.fetch, serverOptions: { keepAliveTimeout: keepAliveTimeoutMs } });
    const address = await new Promise<AddressInfo>((resolve, reject) => {
      server.once('error', (cause) =>
        reject(new CwmError('InvalidConfig', `The port ${options.port} cannot be used: ${cause.message}`, { cause })),
      );
      // A server that listens on TCP has an address object.
      server.listen(options.port, '127.0.0.1', () => resolve(server.address() as AddressInfo));
    });
    return {
      url: `http://127.0.0.1:${address.port}`,
      get workerPid() {
        return supervisor.pid ?? -1;
      },
      close: () => {
        server.close();
        supervisor.close();
        rmSync(runFolder, { recursive: true, force: true });
      },
    };
  } catch (error) {
    supervisor.close();
    rmSync(runFolder, { recursive: true, force: true });
    throw error;
  }
}

/**
 * Uses the GPU where there is one. When nobody named the GPU, a driver that ends the process or a GPU that is full only means that the CPU
 * computes.
 */
async function startLlama(
  config: WorkerConfig,
  isNoise: boolean,
  start: (config: WorkerConfig) => Promise<LlamaProcess>,
  log: (message: string) => void,
): Promise<LlamaProcess> {
  if (config.gpu !== 'auto') return start(config);
  const onCpu = { ...config, gpu: 'off' } as const;
  if (isNoise) return start(onCpu);
  try {
    return await start(config);
  } catch (error) {
    const isHardware =
      error instanceof WorkerLostError || (error instanceof OperationFailedError && error.fault !== 'model');
    if (!isHardware) throw error;
    log(`The model is computed on the CPU, because the GPU failed: ${error.message}`);
    return start(onCpu);
  }
}
