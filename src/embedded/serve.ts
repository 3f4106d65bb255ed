import type { AddressInfo } from 'node:net';
import { mkdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { createAdaptorServer } from '@hono/node-server';
import { CwmError } from '../protocol/errors.ts';
import { productVersion } from '../protocol/version.ts';
import { openDisk } from './kv/openDisk.ts';
import { PrefixCache } from './kv/prefixCache.ts';
import { EmbeddedEngine } from './engine.ts';
import { buildApp } from './http/app.ts';
import { LlamaProcess } from './worker/llamaProcess.ts';
import { LlamaSupervisor } from './worker/llamaSupervisor.ts';
import { checkModelFile, hashModelFile } from './modelFile.ts';
import { noiseModelPrefix } from './noiseModel/noiseModel.ts';
import { defaultNoiseSha256, ensureNoiseModel, noiseNotice } from './noiseModel/noiseModelFile.ts';
import type { EmbeddedOptions } from './options.ts';
import { openRunFolder } from './worker/runFolder.ts';
import type { ServedModel } from './servedModel.ts';

export interface RunningEngine {
  readonly url: string;
  /** Of the llama.cpp process as it is now; another after it died. */
  readonly workerPid: number;
  /** Ends everything at once; requests that run are cut off. */
  close(): void;
}

/** Tokens per evaluation: enough to keep the matrix kernels busy, few enough to notice an abort. */
const batchTokens = 512;
/** Longer than clients keep an idle connection, so that it is they who close it. */
const keepAliveTimeoutMs = 65_000;

const notStoredNotice =
  "This version of llama.cpp saves the model's state in an unknown form, so its KV cache does not survive a restart.";

/**
 * Starts the engine: model, llama.cpp, KV folder, HTTP server on the loopback address.
 *
 * @param token what clients must know; undefined for none.
 * @throws CwmError NotAModel for a file that is no model, PathNotFound, WriteFailed, StorageFull, InvalidConfig when the port is taken.
 */
export async function serveEmbedded(
  options: EmbeddedOptions,
  token: string | undefined,
  log: (message: string) => void,
): Promise<RunningEngine> {
  const runFolder = openRunFolder(options.kvDir);
  const modelPath = options.modelPath
    ? checkModelFile(options.modelPath)
    : ensureNoiseModel(join(options.kvDir, 'models'));
  const hashCache = join(options.kvDir, 'model-hashes.json');
  let sha256 = await hashModelFile(modelPath, hashCache, log);
  if (options.modelPath === null && sha256 !== defaultNoiseSha256) {
    log('The generated model was damaged; it is made again.');
    rmSync(modelPath);
    ensureNoiseModel(join(options.kvDir, 'models'));
    sha256 = await hashModelFile(modelPath, hashCache, log);
  }

  const samplePath = join(runFolder, 'sample.state');
  const { contextTokens, threads } = options;
  const supervisor = new LlamaSupervisor((onEnd) => {
    // Somebody may have deleted it since.
    mkdirSync(runFolder, { recursive: true, mode: 0o700 });
    return LlamaProcess.start({ modelPath, contextTokens, threads, batchTokens, samplePath }, onEnd);
  }, log);
  try {
    const { info } = await supervisor.get().catch((cause: unknown) => {
      throw new CwmError('NotAModel', `llama.cpp can't load ${modelPath}: ${messageOf(cause)}`, { cause });
    });
    const { kvDir, blockTokens } = options;
    const disk = openDisk({ kvDir, blockTokens, info, modelSha256: sha256, samplePath, runFolder, log });
    disk?.cache.warmUp();
    const isNoise = info.name?.startsWith(noiseModelPrefix) === true;
    const notices = [...(isNoise ? [noiseNotice] : []), ...(disk ? [] : [notStoredNotice])];
    const model: ServedModel = {
      id: basename(modelPath).replace(/\.gguf$/i, ''),
      path: modelPath,
      sha256,
      info,
      notice: notices.length === 0 ? null : notices.join(' '),
      blockTokens: options.blockTokens,
      blocks: disk?.blocks ?? null,
      startedAt: new Date(),
    };
    const engine = new EmbeddedEngine({
      supervisor,
      cache: new PrefixCache({
        disk: disk?.cache ?? null,
        blockTokens: options.blockTokens,
        loadTimeoutMs: options.loadTimeoutMs,
        log,
      }),
      blockTokens: options.blockTokens,
      // Random weights turn a difference in the last bit into another word a few tokens on. Block by block, every row is
      // the same however its prompt was split.
      batchTokens: isNoise
        ? options.blockTokens
        : Math.max(1, Math.floor(batchTokens / options.blockTokens)) * options.blockTokens,
      log,
    });
    const version = `${productVersion} (llama.cpp ${info.llamaCpp})`;
    const app = buildApp({ model, engine, supervisor, disk: disk?.cache ?? null, token, version, log });
    const server = createAdaptorServer({ fetch: app.fetch, serverOptions: { keepAliveTimeout: keepAliveTimeoutMs } });
    const address = await new Promise<AddressInfo>((resolve, reject) => {
      server.once('error', (cause) =>
        reject(new CwmError('InvalidConfig', `The port ${options.port} can't be used: ${cause.message}`, { cause })),
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

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
