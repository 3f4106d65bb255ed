import { createSecretKey, randomBytes, type KeyObject } from 'node:crypto';
import { mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CwmError } from '../../protocol/errors.ts';
import { hasCode } from '../disk/files.ts';

const keyBytes = 32;

/**
 * Reads a key: 64 hex digits, in a file that only its owner may read.
 * @throws CwmError EncryptionKey when it is not there, not private, or no key. Nothing of its content is in the message.
 */
export async function readKeyFile(path: string): Promise<KeyObject> {
  let text: string;
  try {
    const { mode } = await stat(path);
    // Windows has no such modes.
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      throw keyError(`Others may read the key file ${path}.`, `Run "chmod 600 ${path}".`);
    }
    await using handle = await open(path, 'r');
    text = await handle.readFile('utf8');
  } catch (error) {
    if (error instanceof CwmError) throw error;
    throw keyError(
      `The key file ${path} cannot be read.`,
      'Mount or restore it: without it nothing of the store can be read.',
      error,
    );
  }
  if (!/^[0-9a-f]{64}\s*$/i.test(text)) throw keyError(`${path} holds no key of 64 hex digits.`, 'Name another file.');
  return createSecretKey(text.trim(), 'hex');
}

/** Makes a key where there is no file yet, mode 0600, and waits until it is on the disk. @throws CwmError WriteFailed. */
export async function makeKeyFile(path: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await using handle = await open(path, 'wx', 0o600);
    await handle.writeFile(`${randomBytes(keyBytes).toString('hex')}\n`);
    await handle.sync();
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return;
    throw new CwmError('WriteFailed', `The key file ${path} cannot be written.`, { cause: error });
  }
}

export const keyError = (message: string, hint: string, cause?: unknown): CwmError =>
  new CwmError('EncryptionKey', message, { hint, ...(cause === undefined ? {} : { cause }) });
