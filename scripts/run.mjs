#!/usr/bin/env node
// Runs a script of this repository, also on a fresh clone: installs the packages in package-lock.json if needed, then starts the script
// on the project's own Node.js 24. Has no dependencies and runs on Node.js 18 and later.
//
//   node scripts/run.mjs SCRIPT [ARG ...]
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const neededMajor = 24;
const stamp = path.join(root, 'node_modules', '.installed');

installIfNeeded();
const [script, ...args] = process.argv.slice(2);
if (!script) fail('Usage: node scripts/run.mjs SCRIPT [ARG ...]');
const bin = path.join(root, 'node_modules', '.bin');
const child = spawn(findNode(), [path.resolve(root, script), ...args], {
  stdio: 'inherit',
  env: { ...process.env, PATH: `${bin}${path.delimiter}${process.env.PATH ?? ''}` },
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('error', (error) => fail(`Node.js could not be started: ${error.message}`));
child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));

/** Two scripts that start at once install once: the second one waits. */
function installIfNeeded() {
  if (isInstalled()) return;
  const lock = path.join(root, '.installing');
  while (!take(lock)) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    if (isInstalled()) return;
  }
  process.on('exit', () => rmSync(lock, { force: true }));
  if (!isInstalled()) install();
  rmSync(lock, { force: true });
}

function isInstalled() {
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === wantedStamp();
}

/** Identifies the packages in package-lock.json. */
function wantedStamp() {
  return createHash('sha256')
    .update(readFileSync(path.join(root, 'package-lock.json')))
    .digest('hex');
}

/** Whether this process holds the lock now. A lock whose process has ended counts for nothing. */
function take(lock) {
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
  if (!isHeld(lock)) rmSync(lock, { force: true });
  return false;
}

function isHeld(lock) {
  try {
    const { mtimeMs } = statSync(lock);
    const pid = Number(readFileSync(lock, 'utf8'));
    // Between its creation and the write of the process id, the file is empty.
    if (!pid) return Date.now() - mtimeMs < 10_000;
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function install() {
  const folder = path.join(root, 'node_modules');
  if (lstatSync(folder, { throwIfNoEntry: false })?.isSymbolicLink())
    fail(
      `${folder} is a link. Installing would delete the packages of the checkout that it points to: remove the link first.`,
    );
  process.stderr.write('Installing the dependencies (npm ci), which takes about half a minute …\n');
  // What npm prints goes to stderr: stdout belongs to the script, which may print JSON.
  const result = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (result.status !== 0)
    fail(`npm ci failed${result.error ? `: ${result.error.message}` : ''}. Its output is above.`);
  // npm runs no script here (.npmrc), not even this project's own.
  spawnSync(process.execPath, [path.join(root, 'scripts', 'setUpHooks.mjs')], { cwd: root, stdio: ['ignore', 2, 2] });
  writeFileSync(stamp, wantedStamp());
}

/** The project's own Node.js, or this one when it is new enough. */
function findNode() {
  const own = Number(process.versions.node.split('.')[0]);
  if (own >= neededMajor) return process.execPath;
  const platform = process.platform === 'win32' ? 'win' : process.platform;
  const executable = process.platform === 'win32' ? 'node.exe' : 'node';
  for (const name of [`node-${platform}-${process.arch}`, `node-bin-${platform}-${process.arch}`]) {
    const candidate = path.join(root, 'node_modules', name, 'bin', executable);
    if (existsSync(candidate)) return candidate;
  }
  return fail(
    `Node.js ${neededMajor} or later is needed; this is ${process.version}, and none was installed for ${process.platform} ${process.arch}.`,
  );
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
