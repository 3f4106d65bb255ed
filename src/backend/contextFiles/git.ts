import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ProjectHints } from '../../protocol/schemas/projectConfig.ts';
import { runGit } from './runGit.ts';

/** Of the history, the newest so many commits are looked at. */
const mostCommits = 5_000;

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

/** By path, relative to the folder. */
async function historyOf(folder: string, signal: AbortSignal): Promise<ReadonlyMap<string, History>> {
  const found = new Map<string, History>();
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
    const stdout = await runGit(folder, log, signal);
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

/** The repository that a folder is in; nulls without git, and in a folder that git does not know. A shallow clone says no first commit. */
export async function gitHints(folder: string, signal: AbortSignal): Promise<ProjectHints> {
  // Git takes a process for each question, and most folders that it does not know are opened again and again.
  if (!(await mayHaveRepository(folder))) return { remote: null, firstCommit: null };
  const [remote, isShallow, roots] = await Promise.all([
    ask(folder, ['config', '--get', 'remote.origin.url'], signal),
    ask(folder, ['rev-parse', '--is-shallow-repository'], signal),
    ask(folder, ['rev-list', '--max-parents=0', 'HEAD'], signal),
  ]);
  const [first] = (roots ?? '').split('\n').sort();
  return { remote: remote && withoutUser(remote), firstCommit: isShallow === 'true' ? null : first || null };
}

/** Whether the folder or one above it has what a repository or a linked worktree has. */
async function mayHaveRepository(folder: string): Promise<boolean> {
  const above = [folder];
  for (let at = folder; dirname(at) !== at;) above.push((at = dirname(at)));
  const has = (path: string): Promise<boolean> =>
    stat(path).then(
      () => true,
      () => false,
    );
  // A bare repository has no ".git".
  const found = await Promise.all([join(folder, 'HEAD'), ...above.map((each) => join(each, '.git'))].map(has));
  return found.includes(true);
}

/** Null where git fails. */
async function ask(folder: string, given: readonly string[], signal: AbortSignal): Promise<string | null> {
  try {
    return (await runGit(folder, given, signal)).trim() || null;
  } catch {
    signal.throwIfAborted();
    return null;
  }
}

/** A URL may hold a token. */
const withoutUser = (remote: string): string =>
  remote.replace(/^([a-z+]+:\/\/)[^/@]*@/i, '$1').replace(/(\.git)?\/?$/, '');
