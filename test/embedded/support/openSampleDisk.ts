import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KvThreads } from '../../../src/embedded/kv/threads/kvThreads.ts';
import { openDisk } from '../../../src/embedded/kv/openDisk.ts';
import { PassingState } from '../../../src/embedded/kv/state/passingState.ts';
import type { FakeLlama } from './fakeLlama.ts';
import { rowState } from './rowState.ts';

export interface SampleDiskOptions {
  /** An empty folder. */
  readonly folder: string;
  readonly llama: FakeLlama;
  readonly blockTokens: number;
  readonly threads: KvThreads;
  /** Default: in clear. */
  readonly kvKey?: Buffer | null;
  readonly log?: (message: string) => void;
  /** As in `DiskTierOptions`. */
  readonly partStateBytes?: number;
}

/** The KV on disk of a fake llama whose state can be cut after any token. */
export function openSampleDisk({ folder, llama, kvKey = null, log, ...more }: SampleDiskOptions) {
  const samplePath = join(folder, 'sample.state');
  writeFileSync(samplePath, rowState([1, 2]));
  const runFolder = join(folder, 'run');
  const opened = openDisk({
    kvDir: join(folder, 'kv'),
    info: llama.info,
    modelSha256: 'a'.repeat(64),
    samplePath,
    kvKey,
    runFolder,
    passing: [0, 1, 2].map((place) => new PassingState(runFolder, null, place)),
    ...more,
    log: log ?? (() => undefined),
  });
  if (!opened) throw new Error('The sample cannot be read.');
  return opened;
}
