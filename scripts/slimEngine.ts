// Puts node-llama-cpp into dist/node_modules as the extension ships it: its own code and all that it imports in one file, and the
// binaries of this platform. Of the 725 MB that npm brings, 31 MB are left; llama.cpp's sources, GPU builds and the rest of
// its dependencies stay behind, because the embedded engine only ever loads a prebuilt binary.
import { build, type Plugin } from 'esbuild';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';

const names: Partial<Record<string, string>> = { linux: 'linux', darwin: 'mac', win32: 'win' };

/** Package with the CPU build for a platform (with Metal on Apple's own processors), as node-llama-cpp names it. */
export const binaryPackage = (platform: string = process.platform, arch: string = process.arch): string =>
  `@node-llama-cpp/${names[platform] ?? platform}-${arch}${platform === 'darwin' && arch === 'arm64' ? '-metal' : ''}`;

/** Where the parts of an engine lie on this disk. */
export interface EngineParts {
  /** The package node-llama-cpp. */
  readonly source: string;
  /** The package with the binaries. */
  readonly binaries: string;
  readonly binaryPackage: string;
}

/** What npm brought for this platform. */
export const installedEngine = (root: string): EngineParts => ({
  source: path.join(root, 'node_modules', 'node-llama-cpp'),
  binaries: path.join(root, 'node_modules', binaryPackage()),
  binaryPackage: binaryPackage(),
});

interface WrittenFile {
  readonly file: string;
  readonly bytes: number;
}

/**
 * @param root the repository
 * @param outdir `dist`
 * @returns the files written, with their sizes; none when npm brought no binaries for this platform, where the checkout's own
 *   node_modules are used.
 */
export async function writeSlimEngine(
  root: string,
  outdir: string,
  parts: EngineParts = installedEngine(root),
): Promise<readonly WrittenFile[]> {
  if (!existsSync(parts.binaries)) return [];
  // esbuild names files by their real places, also where node_modules is a link.
  const source = realpathSync(parts.source);
  const target = path.join(outdir, 'node_modules', 'node-llama-cpp');
  await build({
    outfile: path.join(target, 'dist', 'index.js'),
    entryPoints: [path.join(source, 'dist', 'index.js')],
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node22',
    minify: true,
    keepNames: true,
    legalComments: 'none',
    logLevel: 'error',
    plugins: [keepPlaces(path.join(source, 'dist'))],
    // Another version than the installed one takes its dependencies from here.
    nodePaths: [path.join(root, 'node_modules')],
    external: ['@node-llama-cpp/*', '@reflink/reflink', 'electron'],
    banner: {
      js: "import { createRequire as bundleCreateRequire } from 'node:module'; const require = bundleCreateRequire(import.meta.url);",
    },
  });
  const { name, version, license, type } = JSON.parse(
    readFileSync(path.join(source, 'package.json'), 'utf8'),
  ) as Readonly<Record<string, string>>;
  const manifest = { name, version, license, type, exports: './dist/index.js' };
  writeFileSync(path.join(target, 'package.json'), JSON.stringify(manifest, null, 2));
  mkdirSync(path.join(target, 'llama'), { recursive: true });
  for (const file of [
    'LICENSE',
    'llama/binariesGithubRelease.json',
    'llama/llama.cpp.info.json',
    'llama/package.json',
  ]) {
    cpSync(path.join(source, file), path.join(target, file));
  }
  const binariesTarget = path.join(outdir, 'node_modules', parts.binaryPackage);
  cpSync(parts.binaries, binariesTarget, { recursive: true });
  return [...filesBelow(target), ...filesBelow(binariesTarget)];
}

/** Starts its own file as a process, to try the binaries there; after bundling that file is the bundle. */
const runsItself = 'bindings/utils/testBindingBinary.js';

/**
 * Modules of node-llama-cpp find the package's files by where they are themselves. In one file they all would be in its place, so each
 * is told its old one.
 * @param folder the package's `dist`
 */
const keepPlaces = (folder: string): Plugin => ({
  name: 'keep-places',
  setup(bundle) {
    bundle.onLoad({ filter: /\.js$/ }, ({ path: file }) => {
      const relative = path.relative(folder, file).replaceAll(path.sep, '/');
      const text = readFileSync(file, 'utf8');
      if (relative.startsWith('../') || relative === runsItself || !text.includes('import.meta.url')) return undefined;
      const place = `new URL(${JSON.stringify(`./${relative}`)}, import.meta.url).href`;
      return { contents: text.replaceAll('import.meta.url', place), loader: 'js' };
    });
  },
});

const filesBelow = (folder: string): readonly WrittenFile[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .map((file) => ({ file, bytes: statSync(file).size }));
