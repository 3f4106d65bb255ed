import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { KvFiles } from '../engineModel.ts';
import type { ModelInfo } from '../worker/workerProtocol.ts';
import { blockFileBytes } from './files/blockFile.ts';
import { BlockFolder, newBlockCounters } from './files/blockFolder.ts';
import { DiskCache } from './diskCache.ts';
import { kvBytesPerToken, usualBlockTokens, type KvLayout, type StateShape } from './state/kvLayout.ts';
import { KvPack } from './kvPack.ts';
import { deleteUnreadableKv, hashProfile, openKvNamespace } from './files/kvNamespace.ts';
import type { KvThreads } from './threads/kvThreads.ts';
import type { PassingState } from './state/passingState.ts';
import { bufferSource, parseStateFile, StateFormatError, windowLayout } from './state/stateFile.ts';

export interface OpenDiskOptions {
  readonly kvDir: string;
  /** Null for as many as suit the model's KV. */
  readonly blockTokens: number | null;
  readonly info: ModelInfo;
  readonly modelSha256: string;
  /** A state of a few tokens, which shows its shape. */
  readonly samplePath: string;
  /** What KV is encrypted with, 32 bytes; null for KV in clear. */
  readonly kvKey: Uint8Array | null;
  readonly runFolder: string;
  /** At least one. */
  readonly passing: readonly PassingState[];
  readonly threads: KvThreads;
  /** As in `DiskTierOptions`. */
  readonly partStateBytes?: number;
  readonly log: (message: string) => void;
}

export interface OpenedDisk {
  readonly cache: DiskCache;
  readonly blocks: KvFiles;
  /** Null for a model whose state only llama.cpp could check: it would have to believe what another machine wrote. */
  readonly pack: KvPack | null;
}

/**
 * The disk cache of a model that was loaded, in a folder of its own for everything that its KV depends on.
 *
 * @returns null when llama.cpp's state files cannot be read.
 * @throws CwmError WriteFailed when the folder cannot be written.
 */
export function openDisk(options: OpenDiskOptions): OpenedDisk | null {
  const { kvDir, info, modelSha256, samplePath, kvKey, runFolder, log } = options;
  const sample = readSample(samplePath, log);
  if (!sample) return null;
  const { shape } = sample;
  const blockTokens = options.blockTokens ?? usualBlockTokens(shape.rows);
  const keyId = kvKey && hash('sha256', kvKey, 'hex').slice(0, 16);
  const path = openKvNamespace(kvDir, {
    modelSha256,
    llamaCpp: info.llamaCpp,
    layout: shape.rows,
    ...(shape.hasPositionState && { hasPositionState: true }),
    ...(keyId !== null && { keyId }),
    ...(info.gpu !== null && { gpu: info.gpu }),
    blockTokens,
    hashProfile,
    positionContext: info.hasScaledPositions ? info.contextTokens : null,
  });
  deleteUnreadableKv(kvDir, keyId).catch((error: unknown) => log(`Old KV cannot be deleted: ${String(error)}`));
  const blockBytes = shape.rows && kvBytesPerToken(shape.rows) * blockTokens;
  const counters = newBlockCounters();
  const shared = { path, seal: { key: kvKey }, counters, log };
  const rows = shape.rows && new BlockFolder({ ...shared, kind: 'rows', payloadBytes: blockBytes });
  const positions = shape.hasPositionState
    ? new BlockFolder({ ...shared, kind: 'position', payloadBytes: null })
    : null;
  const cache = new DiskCache({ ...options, shape, blockTokens, rows, positions, counters });
  const kinds = blockBytes === null ? 'states' : shape.hasPositionState ? 'rows and states' : 'rows';
  const identity = shape.rows && {
    modelSha256,
    llamaCpp: info.llamaCpp,
    layout: shape.rows,
    windowLayout: sample.window,
    blockTokens,
    positionContext: info.hasScaledPositions ? info.contextTokens : null,
  };
  const canCheck = !shape.hasPositionState || sample.window !== null;
  return {
    cache,
    blocks: { folder: path, kinds, fileBytes: blockBytes && blockFileBytes(blockBytes) },
    pack: identity && rows && canCheck ? new KvPack({ identity, cache, rows, positions, runFolder }) : null,
  };
}

interface Sample {
  readonly shape: StateShape;
  /** Of the cache of a sliding window; null where the position state is none, or another one. */
  readonly window: KvLayout | null;
}

function readSample(samplePath: string, log: (message: string) => void): Sample | null {
  try {
    const bytes = readFileSync(samplePath);
    const { shape, ids, positionOffset } = parseStateFile(bufferSource(bytes), null);
    return { shape, window: windowOf(bytes.subarray(positionOffset), ids.length) };
  } catch (error) {
    if (!(error instanceof StateFormatError)) throw error;
    log(`The model's state cannot be read: ${error.message}`);
    return null;
  }
}

function windowOf(position: Buffer, tokens: number): KvLayout | null {
  try {
    return windowLayout(position, tokens);
  } catch (error) {
    if (error instanceof StateFormatError) return null;
    throw error;
  }
}
