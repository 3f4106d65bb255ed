import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { CwmError } from '../../protocol/errors.ts';
import {
  defaultNoiseShape,
  noiseModelBytes,
  noiseModelPrefix,
  noiseModelVersion,
  type NoiseModelShape,
} from './noiseModel.ts';

/** Hash of the bytes that {@link defaultNoiseShape} gives: they are the same on every machine. */
export const defaultNoiseSha256 = '5c85591ba25ab3eacd5c57e9c312f6e298b4187922b3a1a14d238a5fcc706142';

/** Follows the model's name wherever people read it. */
export const noiseNotice =
  'This is a generated model with random weights: its KV cache is real, its text is noise. Choose a GGUF file for real answers.';

/**
 * The generated model's file in `folder`, written when it is missing, in well under a second. A file that exists was written whole; its
 * hash shows whether its bytes are still right.
 *
 * @throws CwmError WriteFailed, StorageFull when it cannot be written.
 */
export function ensureNoiseModel(folder: string): string {
  const path = join(folder, `${noiseModelPrefix}-${noiseModelVersion}.gguf`);
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) writeNoiseModel(path, defaultNoiseShape);
  return path;
}

/** Writes the model of this shape atomically and gives its SHA-256. @throws CwmError WriteFailed, StorageFull. */
export function writeNoiseModel(path: string, shape: NoiseModelShape): string {
  const temporary = `${path}.${process.pid}.tmp`;
  const hash = createHash('sha256');
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const file = openSync(temporary, 'w', 0o600);
    try {
      for (const bytes of noiseModelBytes(shape)) {
        hash.update(bytes);
        for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
      }
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (cause) {
    // Not `force`, which fails where the folder is a file, and would hide the failure itself.
    if (existsSync(temporary)) rmSync(temporary);
    const full = cause instanceof Error && 'code' in cause && cause.code === 'ENOSPC';
    throw new CwmError(full ? 'StorageFull' : 'WriteFailed', `The generated model cannot be written to ${path}.`, {
      cause,
    });
  }
  return hash.digest('hex');
}
