import { lstatSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ownerProblem } from '../base/fileOwner.ts';
import { runDirectoryBases, runDirectoryName } from '../base/runDirectory.ts';

/** Where a backend writes its record and its log when it cannot write to the storage directory. The directories need not exist. */
export function runDirectories(storage: string): readonly string[] {
  const name = runDirectoryName(storage, process.getuid?.());
  return runDirectoryBases(process.env, tmpdir(), process.platform).map((base) => join(base, name));
}

/** The first of them that can be made, for this user alone; null when none can. */
export function makeRunDirectory(storage: string): string | null {
  return runDirectories(storage).find(isMadePrivate) ?? null;
}

function isMadePrivate(directory: string): boolean {
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch {
    // It may be there already.
  }
  const stat = lstatSync(directory, { throwIfNoEntry: false });
  return stat?.isDirectory() === true && ownerProblem(stat, process.getuid?.()) === null;
}
