import { bundleFiles } from './bundles.ts';
import { binaryPackageOf } from './packageTargets.ts';
import { vsixFiles } from './vsixFiles.ts';

const binary = /\.(node|so|dylib|dll|exe)(\.[\d.]+)?$/;
const engineFolder = 'extension/dist/node_modules/@node-llama-cpp/';

/** What is wrong with a VSIX for a target: a bundle or an engine that is missing, or anything that another platform would run. */
export function packageProblems(file: string, target: string): string[] {
  const problems: string[] = [];
  const files = vsixFiles(file);
  const manifest = files.get('extension.vsixmanifest')?.().toString() ?? '';
  if (!manifest.includes(`TargetPlatform="${target}"`)) problems.push(`its manifest does not name ${target}`);
  for (const name of bundleFiles) if (!files.has(`extension/dist/${name}`)) problems.push(`it has no dist/${name}`);
  const own = `extension/dist/node_modules/${binaryPackageOf(target)}/`;
  if (![...files.keys()].some((name) => name.startsWith(own) && name.endsWith('/llama-addon.node'))) {
    problems.push(`it has no engine in ${own}`);
  }
  for (const [name, read] of files) {
    if (name.startsWith(engineFolder) && !name.startsWith(own)) problems.push(`${name} is for another platform`);
    if (!binary.test(name)) continue;
    const built = platformOf(read());
    if (built !== target) problems.push(`${name} is for ${built ?? 'an unknown platform'}`);
  }
  return problems;
}

const elf = 0x464c457f;
const machO = 0xfeedfacf;
const portable = 0x5a4d;

/** The platform that a binary was built for, by its first bytes; null for what is no binary of a known one. */
export function platformOf(bytes: Buffer): string | null {
  if (bytes.length < 64) return null;
  if (bytes.readUInt32LE(0) === elf) return named('linux', { 0x3e: 'x64', 0xb7: 'arm64' }, bytes.readUInt16LE(18));
  if (bytes.readUInt32LE(0) === machO) {
    return named('darwin', { 0x01000007: 'x64', 0x0100000c: 'arm64' }, bytes.readUInt32LE(4));
  }
  if (bytes.readUInt16LE(0) !== portable) return null;
  const header = bytes.readUInt32LE(0x3c);
  if (bytes.length < header + 6) return null;
  return named('win32', { 0x8664: 'x64', 0xaa64: 'arm64' }, bytes.readUInt16LE(header + 4));
}

const named = (platform: string, machines: Readonly<Record<number, string>>, machine: number): string | null =>
  machines[machine] === undefined ? null : `${platform}-${machines[machine]}`;
