import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { ownerProblem, ownerProblemInWords } from '../../base/fileOwner.ts';
import { CwmError } from '../../protocol/errors.ts';

const form = /^[\x21-\x7e]{32,512}$/;

/**
 * Reads the bearer token that clients over TCP must send: 32 to 512 printable characters in one line of a file of the user's. It makes
 * the file, mode 0600, where there is none.
 *
 * @throws CwmError InvalidConfig when others can read the file, when it holds no token, or when it cannot be read or made. Nothing of its
 *   content is in the message.
 */
export async function readHttpToken(path: string): Promise<string> {
  try {
    await makeMissing(path);
    await using handle = await open(path, 'r');
    const stat = await handle.stat();
    // Windows has no such modes.
    if (process.platform !== 'win32') checkPrivate(path, stat);
    const token = (await handle.readFile('utf8')).trim();
    if (form.test(token)) return token;
  } catch (error) {
    if (error instanceof CwmError) throw error;
    throw new CwmError('InvalidConfig', `The token file ${path} cannot be read or made.`, { cause: error });
  }
  throw new CwmError('InvalidConfig', `${path} does not hold a token of 32 to 512 printable characters.`, {
    hint: 'Delete the file; the backend makes another one.',
  });
}

function checkPrivate(path: string, stat: { readonly uid: number; readonly mode: number }): void {
  const problem = ownerProblem(stat, process.getuid?.());
  if (problem !== null) {
    throw new CwmError('InvalidConfig', `The token file ${path} ${ownerProblemInWords(problem, stat)}.`);
  }
  if ((stat.mode & 0o077) === 0) return;
  throw new CwmError('InvalidConfig', `Other users can read the token file ${path}.`, {
    hint: `Run "chmod 600 ${path}", and replace the token if somebody may have read it.`,
  });
}

async function makeMissing(path: string): Promise<void> {
  try {
    await using handle = await open(path, 'wx', 0o600);
    await handle.writeFile(`${randomBytes(32).toString('base64url')}\n`);
    await handle.sync();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}
