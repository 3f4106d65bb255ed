import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { buildOnce } from './buildOnce.ts';
import { engineFolder, type EngineRecipe } from './engineRecipe.ts';
import { runLogged } from './loggedCommand.ts';
import { findPython, venvPython } from './python.ts';

const progressEveryMs = 4_000;
const listRequirements = join(import.meta.dirname, 'python', 'list_requirements.py');

export interface InstallOptions {
  readonly signal: AbortSignal;
  /** Called for each line a person should see. */
  readonly log: (line: string) => void;
}

/**
 * Makes sure that the engine is installed in the user's cache folder. A complete installation is used as it is; an interrupted
 * one is begun again.
 *
 * @returns the folder and its interpreter.
 * @throws an Error with what to do when there is no fitting Python, or with the end of pip's log when pip fails.
 */
export async function installEngine(
  recipe: EngineRecipe,
  { signal, log }: InstallOptions,
): Promise<{ folder: string; python: string }> {
  const folder = engineFolder(recipe);
  const built = await buildOnce(folder, () => install(recipe, folder, { signal, log }), {
    signal,
    log,
    // The interpreter is a link to the Python it was made with, which the system may have replaced.
    usable: async () => existsSync(venvPython(folder)),
  });
  log(`${recipe.name} ${recipe.version} ${built ? 'is installed' : 'was there already'}: ${folder}`);
  return { folder, python: venvPython(folder) };
}

/** The interpreter of an engine that is installed, or undefined. */
export function installedPython(recipe: EngineRecipe): string | undefined {
  const folder = engineFolder(recipe);
  const python = venvPython(folder);
  return existsSync(join(folder, 'complete.json')) && existsSync(python) ? python : undefined;
}

async function install(
  recipe: EngineRecipe,
  folder: string,
  { signal, log }: InstallOptions,
): Promise<Record<string, unknown>> {
  const python = await findPython(recipe.oldestPythonMinor, recipe.newestPythonMinor, signal);
  log(`${recipe.cost}. It goes to ${folder}, with Python ${python.version}.`);
  const logFile = join(folder, 'install.log');
  const progress = throttledProgress(log);
  const inVenv = venvPython(folder);
  await runLogged([python.path, '-m', 'venv', join(folder, 'venv')], { logFile, signal });
  for (const { says, args, requirementsOf } of recipe.pip) {
    log(`  installing ${says} …`);
    const requirements: string[] = [];
    if (requirementsOf) {
      const { distribution, without } = requirementsOf;
      const file = join(folder, `${distribution}.requirements.txt`);
      await writeFile(file, await runLogged([inVenv, listRequirements, distribution, ...without], { logFile, signal }));
      requirements.push('--requirement', file);
    }
    const pip = [
      inVenv,
      '-m',
      'pip',
      '--disable-pip-version-check',
      '--no-input',
      'install',
      '--progress-bar',
      'off',
    ] as const;
    await runLogged([...pip, ...args, ...requirements], { logFile, signal, onLine: progress });
  }
  const version = (await runLogged([inVenv, '-c', recipe.check], { logFile, signal })).trim().split('\n').at(-1);
  return { name: recipe.name, version, python: python.version };
}

/** Passes on what pip is busy with, a line every few seconds, so that a wait of minutes shows that something moves. */
function throttledProgress(log: (line: string) => void): (line: string) => void {
  const startedMs = performance.now();
  let lastMs = Number.NEGATIVE_INFINITY;
  return (line) => {
    const text = line.trim();
    const isInstalling = text.startsWith('Installing collected packages');
    if (!isInstalling && !/^(Collecting|Downloading|Using cached|Building) /.test(text)) return;
    const nowMs = performance.now();
    if (!isInstalling && nowMs - lastMs < progressEveryMs) return;
    lastMs = nowMs;
    const seconds = Math.round((nowMs - startedMs) / 1000);
    log(
      `  ${String(seconds).padStart(4)} s  ${isInstalling ? 'unpacking (the longest part, silent)' : text.slice(0, 100)}`,
    );
  };
}
