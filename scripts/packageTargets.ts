import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { binaryPackage, type EngineParts } from './slimEngine.ts';

/**
 * The platforms of VS Code that get a package, and the version of node-llama-cpp in each. Null is the project's own. The registry has
 * the binaries of Windows and macOS up to 3.21.1 only, so these packages have the whole engine, code and binaries, of that version. KV is
 * filed under llama.cpp's version, so that none of one is ever loaded by another.
 */
export const packageTargets: Readonly<Record<string, string | null>> = {
  'win32-x64': '3.21.1',
  'win32-arm64': '3.21.1',
  'darwin-arm64': '3.21.1',
  'darwin-x64': '3.21.1',
  'linux-x64': null,
  'linux-arm64': null,
};

export const binaryPackageOf = (target: string): string => {
  const [platform = '', arch = ''] = target.split('-');
  return binaryPackage(platform, arch);
};

/**
 * The engine for a target, fetched from the registry where npm did not install it.
 *
 * @throws Error that names what could not be had.
 */
export function engineFor(root: string, target: string): EngineParts {
  const version = packageTargets[target];
  if (version === undefined) {
    throw new Error(`There is no target ${target}. Targets: ${Object.keys(packageTargets).join(', ')}.`);
  }
  const wanted = version ?? versionOf(path.join(root, 'node_modules', 'node-llama-cpp'));
  const binaries = binaryPackageOf(target);
  return {
    source: packageAt(root, 'node-llama-cpp', wanted, target),
    binaries: packageAt(root, binaries, wanted, target),
    binaryPackage: binaries,
  };
}

const versionOf = (folder: string): string | null => {
  const file = path.join(folder, 'package.json');
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version : null;
};

function packageAt(root: string, name: string, version: string | null, target: string): string {
  const installed = path.join(root, 'node_modules', name);
  if (version !== null && versionOf(installed) === version) return installed;
  const folder = path.join(root, '.cache', 'engines', `${name.replaceAll('/', '+')}-${version}`);
  const unpacked = path.join(folder, 'package');
  if (versionOf(unpacked) === version) return unpacked;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const options = { cwd: folder, stdio: 'ignore', shell: process.platform === 'win32' } as const;
  spawnSync('npm', ['pack', `${name}@${version}`, '--silent'], options);
  const archive = readdirSync(folder).find((file) => file.endsWith('.tgz'));
  if (archive) spawnSync('tar', ['xzf', archive], options);
  if (versionOf(unpacked) === version) return unpacked;
  throw new Error(`The engine for ${target} could not be had: npm has no ${name}@${version}.`);
}
