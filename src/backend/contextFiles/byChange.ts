import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Of the history, the newest so many commits are looked at. */
const mostCommits = 5_000;
const gitPatienceMs = 5_000;
const mostOutputBytes = 32 * 1024 * 1024;

interface History {
  commits: number;
  /** Seconds since 1970. */
  lastAt: number;
}

/** As `ProjectFolders.byChange`. Without git, and in a folder that git does not know, the time of the change decides. */
export async function byChange(folder: string, paths: readonly string[], signal: AbortSignal): Promise<string[]> {
  const history = await historyOf(folder, signal);
  const changedAt = new Map<string, number>();
  for (const path of paths) if (!history.has(path)) changedAt.set(path, await modifiedMs(join(folder, path)));
  return [...paths].sort((a, b) => {
    const [one, other] = [history.get(a), history.get(b)];
    if (one && other) return one.commits - other.commits || one.lastAt - other.lastAt || order(a, b);
    if (one || other) return one ? -1 : 1;
    return (changedAt.get(a) ?? 0) - (changedAt.get(b) ?? 0) || order(a, b);
  });
}

const order = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

/** By path, relative to the folder. A repository's own settings can name programs; none that reading the log would start is let through. */
async function historyOf(folder: string, signal: AbortSignal): Promise<ReadonlyMap<string, History>> {
  const found = new Map<string, History>();
  const safe = [
    '-c',
    'core.fsmonitor=false',
    '-c',
    'log.showSignature=false',
    '-c',
    'core.quotePath=false',
    '--no-pager',
  ];
  const log = [
    'log',
    `--max-count=${mostCommits}`,
    '--format=%x01%ct',
    '--name-only',
    '-z',
    '--relative',
    '--no-renames',
    '--no-ext-diff',
    '--no-textconv',
    '--',
    '.',
  ];
  try {
    const options = { cwd: folder, signal, timeout: gitPatienceMs, maxBuffer: mostOutputBytes, windowsHide: true };
    const env = { ...process.env, GIT_OPTIONAL_LOCKS: '0', GIT_TERMINAL_PROMPT: '0' };
    const { stdout } = await run('git', [...safe, ...log], { ...options, env });
    for (const commit of stdout.split('\u0001').slice(1)) {
      const [at = '', ...names] = commit.split(/[\0\n]+/);
      for (const name of names.filter((each) => each !== '')) {
        const known = found.get(name);
        if (known) known.commits++;
        else found.set(name, { commits: 1, lastAt: Number(at) });
      }
    }
  } catch {
    // No git, no repository, or one without a commit.
    signal.throwIfAborted();
  }
  return found;
}

const modifiedMs = (path: string): Promise<number> =>
  stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => Infinity,
  );
