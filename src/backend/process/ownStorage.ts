import { chmodSync, mkdirSync, statSync } from 'node:fs';
import { ownerProblem, ownerProblemInWords } from '../../base/fileOwner.ts';
import { CwmError } from '../../protocol/errors.ts';

const forOwner = 0o700;

/**
 * Creates the storage directory for this user alone, or closes an existing one to other users.
 *
 * @throws CwmError AccessDenied when another user owns it, or may write to it and the file system does not let that be changed; Node's
 *   own error when it cannot be made.
 */
export function makeOwnStorage(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: forOwner });
  const uid = process.getuid?.();
  if (ownerProblem(statSync(directory), uid) === 'open') closeToOthers(directory);
  const stat = statSync(directory);
  const problem = ownerProblem(stat, uid);
  if (problem === null) return;
  throw new CwmError('AccessDenied', `The storage directory ${directory} ${ownerProblemInWords(problem, stat)}.`, {
    hint:
      problem === 'foreign'
        ? 'Name a storage directory of your own, or make this one yours with chown.'
        : 'This file system cannot keep files private (it ignores chmod). Name a storage directory on one that can.',
  });
}

function closeToOthers(directory: string): void {
  try {
    chmodSync(directory, forOwner);
  } catch {
    // Some file systems have no modes. The caller checks the result.
  }
}
