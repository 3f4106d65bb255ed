import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { withFileLock } from './fileLock.ts';

/** Written last: a folder without it is what an interrupted build left, and is built again from nothing. */
const markerName = 'complete.json';

export interface BuildOptions {
  readonly signal: AbortSignal;
  /** Called for each line a person should see. */
  readonly log: (line: string) => void;
  /** Whether a complete folder can still be used; the default is yes. */
  readonly usable?: (folder: string) => Promise<boolean>;
}

/** What is known of a complete folder. */
export async function builtFacts(folder: string): Promise<Record<string, unknown> | undefined> {
  if (!existsSync(join(folder, markerName))) return undefined;
  const facts: unknown = JSON.parse(await readFile(join(folder, markerName), 'utf8'));
  return typeof facts === 'object' && facts !== null ? { ...facts } : {};
}

/**
 * Makes sure that `folder` holds what `build` puts there, building it at most once, also when several processes ask at the
 * same time. `build` gets the empty folder at its final path (virtual environments cannot be moved) and returns facts to keep.
 *
 * @returns whether this call built it.
 * @throws whatever `build` throws; the folder then stays as it is, for its log to be read, and the next call starts anew.
 */
export async function buildOnce(
  folder: string,
  build: (folder: string) => Promise<Record<string, unknown>>,
  { signal, log, usable = async () => true }: BuildOptions,
): Promise<boolean> {
  const isReady = async (): Promise<boolean> => (await builtFacts(folder)) !== undefined && (await usable(folder));
  if (await isReady()) return false;
  return withFileLock(
    `${folder}.lock`,
    async () => {
      if (await isReady()) return false;
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder, { recursive: true });
      const startedMs = performance.now();
      const facts = await build(folder);
      const seconds = Math.round((performance.now() - startedMs) / 1000);
      await writeFile(
        join(folder, markerName),
        `${JSON.stringify({ ...facts, seconds, builtAt: new Date() }, null, 2)}\n`,
      );
      return true;
    },
    { signal, onWait: () => log(`Another process is building ${folder}; waiting for it.`) },
  );
}
