import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { defaultNoiseSha256, ensureNoiseModel } from '../noiseModel/noiseModelFile.ts';
import { hashModel, statOfFiles } from './hashModelFile.ts';
import { findModelFiles, ownModelFiles, type ModelFiles } from './modelFiles.ts';

/** A model's files, and which weights they hold. */
export interface OpenedModel extends ModelFiles {
  /** Over all parts. */
  readonly sha256: string;
  /** Whether the files are still those that were hashed. Asks the file system only. */
  isUnchanged(): boolean;
}

/**
 * @param path null for the generated model, which is made in `kvDir` where it is missing or damaged.
 * @throws CwmError PathNotFound, NotAModel, WriteFailed, StorageFull.
 */
export async function openModel(
  path: string | null,
  kvDir: string,
  log: (message: string) => void,
): Promise<OpenedModel> {
  const folder = join(kvDir, 'models');
  const files = path === null ? ownModelFiles(ensureNoiseModel(folder)) : findModelFiles(path);
  const hash = (): Promise<string> => hashModel(files.parts, join(kvDir, 'model-hashes.json'), log);
  // Taken first: a change in between makes the files look changed, never unchanged.
  let stat = statOfFiles(files.parts);
  let sha256 = await hash();
  if (path === null && sha256 !== defaultNoiseSha256) {
    log('The generated model was damaged; it is made again.');
    rmSync(files.path);
    ensureNoiseModel(folder);
    stat = statOfFiles(files.parts);
    sha256 = await hash();
  }
  return { ...files, sha256, isUnchanged: () => statOfFiles(files.parts) === stat };
}
