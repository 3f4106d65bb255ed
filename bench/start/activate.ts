// Loads the bundle of the extension as VS Code does, and activates it: `activate DIST STORAGE [bare]`. Prints what it took.
// The process that VS Code loads extensions into has these modules of Node before it loads the first one.
import 'node:child_process';
import 'node:crypto';
import 'node:events';
import 'node:fs/promises';
import 'node:net';
import 'node:os';
import path from 'node:path';
import 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { standIn, standInForVscode } from './vscodeStandIn.ts';

/** In milliseconds, with what the extension logged as an error. */
export interface Activation {
  readonly loadMs: number;
  readonly activateMs: number;
  /** Of all threads of the process. */
  readonly cpuMs: number;
  readonly failures: readonly string[];
}

const [dist = '', storage = '', kind] = process.argv.slice(2);
const failures: string[] = [];
standInForVscode(dist, standIn('vscode', storage, failures));
const cpuBefore = process.cpuUsage();
const started = performance.now();
let [loaded, activated] = [started, started];
if (kind !== 'bare') {
  const extension = (await import(pathToFileURL(path.join(dist, 'extension.js')).href)) as {
    readonly activate: (context: unknown) => unknown;
  };
  loaded = performance.now();
  extension.activate(standIn('context', storage, failures));
  activated = performance.now();
}
const { user, system } = process.cpuUsage(cpuBefore);
const took: Activation = {
  loadMs: loaded - started,
  activateMs: activated - loaded,
  cpuMs: (user + system) / 1000,
  failures,
};
process.stdout.write(JSON.stringify(took));
// What it looks for afterwards is no part of the start.
process.exit(0);
