import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const patienceMs = 5_000;
const mostOutputBytes = 32 * 1024 * 1024;

/**
 * What git prints about the repository that a folder is in. The folder's author may have made its `.git`, too, and its settings can name
 * programs: git starts none of them, and asks no remote.
 *
 * @throws what git says; also without git.
 */
export async function runGit(folder: string, given: readonly string[], signal: AbortSignal): Promise<string> {
  const program = await findGit(process.env);
  const safe = [
    '-c',
    'core.fsmonitor=false',
    '-c',
    'log.showSignature=false',
    '-c',
    'core.quotePath=false',
    '--no-pager',
  ];
  const options = { signal, timeout: patienceMs, maxBuffer: mostOutputBytes, windowsHide: true };
  // It runs elsewhere: Windows looks for programs in the working directory first.
  const cwd = dirname(program);
  const { stdout } = await run(program, ['-C', folder, ...safe, ...given], { ...options, cwd, env: gitEnvironment() });
  return stdout;
}

function gitEnvironment(): NodeJS.ProcessEnv {
  // The backend's own GIT_DIR would name one repository for all folders.
  const own = Object.entries(process.env).filter(([name]) => !/^GIT_/i.test(name));
  return {
    ...Object.fromEntries(own),
    GIT_OPTIONAL_LOCKS: '0',
    GIT_TERMINAL_PROMPT: '0',
    // A partial clone fetches what it lacks, with the program that its remote names. Git before 2.45 knows only the second variable.
    GIT_NO_LAZY_FETCH: '1',
    GIT_ALLOW_PROTOCOL: 'none',
  };
}

/** The absolute path of the first git in PATH. Entries that are relative to a working directory do not count. @throws Error without git. */
export async function findGit({ PATH = '' }: NodeJS.ProcessEnv): Promise<string> {
  const name = process.platform === 'win32' ? 'git.exe' : 'git';
  for (const entry of PATH.split(delimiter)) {
    const program = join(entry.replace(/^"(.*)"$/, '$1'), name);
    if (isAbsolute(program) && (await isProgram(program))) return program;
  }
  throw new Error('There is no git in PATH.');
}

const isProgram = async (path: string): Promise<boolean> => {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
};
