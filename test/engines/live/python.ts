import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as z from 'zod/mini';

const run = promisify(execFile);
const probeTimeoutMs = 20_000;

export interface Python {
  readonly path: string;
  /** Such as `3.11`. */
  readonly version: string;
}

const probeSchema = z.object({ path: z.string(), minor: z.int(), venv: z.boolean() });
/** ensurepip is what Debian splits off into python3-venv; without it a virtual environment gets no pip. */
const probeScript = `import sys, json, importlib.util as u
print(json.dumps({"path": sys.executable, "minor": sys.version_info[1] if sys.version_info[0] == 3 else 0,
                  "venv": all(u.find_spec(m) is not None for m in ("venv", "ensurepip"))}))`;

/**
 * The first Python 3 with venv in the given range of minor versions: the user's own `python3` if it fits, then named ones.
 * `CWM_PYTHON` is tried first.
 *
 * @throws an Error that says what was found instead and what to install.
 */
export async function findPython(oldestMinor: number, newestMinor: number, signal: AbortSignal): Promise<Python> {
  const named = [];
  for (let minor = newestMinor; minor >= oldestMinor; minor--) named.push(`python3.${minor}`);
  const chosen = process.env['CWM_PYTHON'];
  const rejected = new Map<string, string>();
  for (const candidate of [...(chosen ? [chosen] : []), 'python3', 'python', ...named]) {
    const found = await probe(candidate, signal);
    if (!found) continue;
    const { path, minor, venv } = found;
    if (minor < oldestMinor || minor > newestMinor) rejected.set(path, `3.${minor}`);
    else if (!venv) rejected.set(path, `3.${minor}, without venv`);
    else return { path, version: `3.${minor}` };
  }
  const seen = [...rejected].map(([path, what]) => `${path} (${what})`).join(', ');
  throw new Error(
    `Python 3.${oldestMinor} to 3.${newestMinor} with venv is needed; found ${seen || 'no Python at all'}. ` +
      'Install one (on Debian and Ubuntu: apt-get install python3 python3-venv), or name it in CWM_PYTHON.',
  );
}

async function probe(command: string, signal: AbortSignal): Promise<z.infer<typeof probeSchema> | undefined> {
  try {
    const { stdout } = await run(command, ['-c', probeScript], { signal, timeout: probeTimeoutMs });
    return probeSchema.parse(JSON.parse(stdout));
  } catch {
    // Not there, or a stub that only pretends (pyenv, the Windows store): the caller tries the next name.
    signal.throwIfAborted();
    return undefined;
  }
}

/** The interpreter of the virtual environment in `folder`. */
export function venvPython(folder: string): string {
  return process.platform === 'win32'
    ? join(folder, 'venv', 'Scripts', 'python.exe')
    : join(folder, 'venv', 'bin', 'python');
}
