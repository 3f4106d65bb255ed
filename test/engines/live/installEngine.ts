import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { buildOnce, builtFacts } from './buildOnce.ts';
import { engineFolder, type EngineRecipe } from './engineRecipe.ts';
import { pipInstall, runLogged } from './loggedCommand.ts';
import { findPython, venvPython, type Python } from './python.ts';

const progressEveryMs = 4_000;
const listRequirements = join(import.meta.dirname, 'python', 'list_requirements.py');

export interface InstallOptions {
  readonly signal: AbortSignal;
  /** Called for each line a person should see. */
  readonly log: (line: string) => void;
}

/** There are no builds of an engine for this system. */
export class NoBuilds extends Error {}

/**
 * Makes sure that the engine is installed in the user's cache folder, and the one that it runs on. A complete installation is
 * used as it is; an interrupted one is begun again.
 *
 * @returns the folder and its interpreter.
 * @throws a {@link NoBuilds}, an Error with what to do when there is no fitting Python, or one with the end of pip's log when
 *   pip fails.
 */
export async function installEngine(
  recipe: EngineRecipe,
  { signal, log }: InstallOptions,
): Promise<{ folder: string; python: string }> {
  if (recipe.on && !installedPython(recipe.on)) await installEngine(recipe.on, { signal, log });
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
  const python = await pythonFor(recipe, signal);
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
    await runLogged([...pipInstall(inVenv), ...args, ...requirements], { logFile, signal, onLine: progress });
  }
  if (recipe.on) await seePackages(inVenv, venvPython(engineFolder(recipe.on)), { logFile, signal });
  const version = (await runLogged([inVenv, '-c', recipe.check], { logFile, signal })).trim().split('\n').at(-1);
  return { name: recipe.name, version, python: python.version };
}

async function pythonFor(recipe: EngineRecipe, signal: AbortSignal): Promise<Python> {
  const { name, oldestPythonMinor, newestPythonMinor, platform = process.platform, on } = recipe;
  if (platform !== process.platform) throw new NoBuilds(`There are builds of ${name} for ${platform} only.`);
  if (!on) return findPython(oldestPythonMinor, newestPythonMinor, signal);
  const version = String((await builtFacts(engineFolder(on)))?.['python']);
  const minor = Number(version.split('.')[1]);
  if (minor < oldestPythonMinor || minor > newestPythonMinor)
    throw new NoBuilds(`There are builds of ${name} for Python 3.${oldestPythonMinor} to 3.${newestPythonMinor} only.`);
  return { path: venvPython(engineFolder(on)), version };
}

/** Lets a virtual environment import what is installed in another one. */
async function seePackages(
  inVenv: string,
  otherVenv: string,
  options: { readonly logFile: string; readonly signal: AbortSignal },
): Promise<void> {
  const packagesOf = async (python: string): Promise<string> =>
    (await runLogged([python, '-c', 'import sysconfig; print(sysconfig.get_path("purelib"))'], options)).trim();
  await writeFile(join(await packagesOf(inVenv), 'other.pth'), `${await packagesOf(otherVenv)}\n`);
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
