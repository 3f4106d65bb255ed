import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const cliFile = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
const isWindows = process.platform === 'win32';
/** Set by scripts/testWindows.ts where the suite runs under Wine. */
const wineNode = process.env['CWM_WINE_NODE'] ?? '';
const winePrefix = process.env['WINEPREFIX'] ?? '';

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** One folder by its two names: `here` for this process, `there` for a Windows process. On Windows both are the same. */
export interface Place {
  readonly here: string;
  readonly there: string;
}

/** A new folder on drive C. */
export function makePlace(): Place {
  if (isWindows) {
    const folder = mkdtempSync(path.join(tmpdir(), 'cwm-'));
    return { here: folder, there: folder };
  }
  const parent = path.join(winePrefix, 'drive_c', 'cwm-test');
  mkdirSync(parent, { recursive: true });
  const here = mkdtempSync(path.join(parent, 't-'));
  return { here, there: `C:\\cwm-test\\${path.basename(here)}` };
}

/** A file or folder in a place. */
export const within = ({ here, there }: Place, ...names: readonly string[]): Place => ({
  here: path.join(here, ...names),
  there: [there, ...names].join('\\'),
});

let runs = 0;

/** Runs Windows' Node.js. Its output goes through files: a pipe of this system is none that Windows' Node.js can write to. */
export async function runNode(args: readonly string[], at: Place): Promise<Ended> {
  const name = path.join(at.here, `run-${process.pid}-${runs++}`);
  const files = [`${name}.out`, `${name}.err`] as const;
  const [out, err] = [openSync(files[0], 'w'), openSync(files[1], 'w')];
  const [command, first] = isWindows ? [process.execPath, []] : ['wine', [wineNode]];
  const child = spawn(command, [...first, ...args], { stdio: ['ignore', out, err], cwd: at.here });
  const [code] = (await once(child, 'exit')) as [number | null];
  closeSync(out);
  closeSync(err);
  return { code: code ?? -1, stdout: readFileSync(files[0], 'utf8'), stderr: readFileSync(files[1], 'utf8') };
}

/** Runs a script in CommonJS and parses what it prints. */
export async function runScript(text: string, at: Place): Promise<unknown> {
  const script = within(at, `script-${runs++}.cjs`);
  writeFileSync(script.here, text);
  const { code, stdout, stderr } = await runNode([script.there], at);
  if (code !== 0) throw new Error(`the script ended with ${code}: ${stderr}`);
  return JSON.parse(stdout);
}

export interface WindowsCli {
  readonly run: (...args: string[]) => Promise<Ended>;
  /** Runs with `--json` and parses stdout. @throws when the exit code is not 0. */
  readonly json: (...args: string[]) => Promise<Record<string, unknown>>;
  /** Runs with `--json`, expects exit code 1, and parses stderr. */
  readonly refusal: (...args: string[]) => Promise<Record<string, unknown>>;
}

/** The bundled `cwm` on one storage directory. */
export function windowsCli(storage: Place, cwd: Place): WindowsCli {
  const entry = isWindows ? cliFile : `Z:${cliFile.replaceAll('/', '\\')}`;
  const run = (...args: string[]): Promise<Ended> => runNode([entry, ...args, '--storage', storage.there], cwd);
  const parse = (text: string): Record<string, unknown> => JSON.parse(text) as Record<string, unknown>;
  return {
    run,
    json: async (...args) => {
      const ended = await run(...args, '--json');
      if (ended.code !== 0) throw new Error(`cwm ${args.join(' ')} ended with ${ended.code}: ${ended.stderr}`);
      return parse(ended.stdout);
    },
    refusal: async (...args) => {
      const ended = await run(...args, '--json');
      if (ended.code !== 1) throw new Error(`cwm ${args.join(' ')} ended with ${ended.code}: ${ended.stdout}`);
      return parse(ended.stderr);
    },
  };
}

/** What `kill -9` is on Windows. */
export const killProcess = (pid: number, at: Place): Promise<unknown> =>
  runScript(`process.kill(${pid}, 'SIGKILL'); console.log(true);`, at);
