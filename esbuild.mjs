// Bundles every process of the product into dist/: `node esbuild.mjs [--watch] [--outdir DIR] [--target TARGET]`. Prints what each file
// weighs. A target is a platform of VS Code, whose engine is put there; without one, it is the engine of this machine.
import { build, context } from 'esbuild';
import { copyFileSync, globSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { bundledProcesses } from './scripts/bundles.ts';
import { engineFor } from './scripts/packageTargets.ts';
import { writeSlimEngine } from './scripts/slimEngine.ts';

const root = import.meta.dirname;
/** VS Code reads so much of the extension at every start. */
const mostStartBytes = 150_000;
/** All that VS Code may load of it, without the pages. */
const mostExtensionBytes = 300_000;
const { values } = parseArgs({
  options: { watch: { type: 'boolean' }, outdir: { type: 'string' }, target: { type: 'string' } },
});
const outdir = path.resolve(root, values.outdir ?? 'dist');
const require = createRequire(import.meta.url);
const watch = values.watch ?? false;

/** @type {import('esbuild').BuildOptions} */
const common = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  target: 'node22',
  minify: !watch,
  // Names stay readable in stack traces and logs.
  keepNames: true,
  sourcemap: watch ? 'linked' : false,
  legalComments: 'none',
  logLevel: 'warning',
  metafile: true,
  define: { 'process.env.NODE_ENV': '"production"' },
};

/** What VS Code loads at every start, and the parts that it loads when they are needed. */
const extension = {
  ...common,
  entryPoints: { extension: 'src/vscode/extension.ts' },
  outdir,
  format: 'esm',
  splitting: true,
  // Else each “…” of a title takes six bytes.
  charset: 'utf8',
  chunkNames: '[name]-[hash]',
  external: ['vscode'],
  // jsonc-parser's other form requires its parts by names that only run time knows, which no bundle of modules can.
  mainFields: ['module', 'main'],
  alias: bundledProcesses.alias,
  // VS Code reads this file at every start. Names in stack traces are the only loss (CwmError sets its own name): 10 kB of 177. The map
  // brings them back, and no package holds it: building the same commit gives it again.
  keepNames: watch,
  sourcemap: watch ? 'linked' : 'external',
};

/** The pages of the reading view and of the memory view run in webviews: their scripts and their style sheets. */
const page = {
  ...common,
  entryPoints: ['conversation', 'memory'].flatMap((name) =>
    ['ts', 'css'].map((kind) => ({ in: `src/vscode/page/${name}.${kind}`, out: name })),
  ),
  outdir,
  platform: 'browser',
  target: 'chrome130',
  format: 'esm',
  keepNames: false,
};

const processes = { ...common, ...bundledProcesses, outdir };

// It sees names that are imported while esbuild watches only after a new start.
if (!watch) extension.plugins = [externalsOnce()];
extension.plugins = [...(extension.plugins ?? []), await laterInOneFile(extension)];

rmSync(outdir, { recursive: true, force: true });
mkdirSync(outdir, { recursive: true });
// sql.js looks for it beside the file that it is bundled into.
copyFileSync(require.resolve('sql.js/dist/sql-wasm.wasm'), path.join(outdir, 'sql-wasm.wasm'));
const slimEngine = await writeSlimEngine(root, outdir, values.target && engineFor(root, values.target));

if (watch) {
  for (const options of [extension, page, processes]) await (await context(options)).watch();
} else {
  for (const options of [extension, page, processes]) {
    const { metafile } = await build(options);
    for (const [file, { bytes }] of Object.entries(metafile.outputs)) if (!file.endsWith('.map')) print(file, bytes);
    if (options === extension) checkExtension(metafile);
  }
  print('dist/sql-wasm.wasm', statSync(path.join(outdir, 'sql-wasm.wasm')).size);
  print(
    'dist/node_modules',
    slimEngine.reduce((sum, { bytes }) => sum + bytes, 0),
  );
}

/**
 * Everything that the extension loads when it is needed lies in one file, and what it shares with the start in another: else the modules
 * that any two of them share are a file of their own, and each start opens nineteen files instead of two.
 *
 * @param {import('esbuild').BuildOptions} options
 * @returns {Promise<import('esbuild').Plugin>}
 */
async function laterInOneFile(options) {
  const { metafile } = await build({ ...options, metafile: true, write: false, sourcemap: false });
  const imported = Object.values(metafile?.inputs ?? {}).flatMap(({ imports }) => imports);
  const later = new Set(
    imported.filter(({ kind, external }) => kind === 'dynamic-import' && !external).map(({ path }) => path),
  );
  const names = Object.values(metafile?.outputs ?? {}).flatMap(({ entryPoint, exports }) =>
    entryPoint !== undefined && later.has(entryPoint) ? exports : [],
  );
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw new Error(`Two modules that are loaded later export "${twice}".`);
  return {
    name: 'later in one file',
    setup(building) {
      building.onResolve({ filter: /^\./ }, ({ path: named, kind, resolveDir }) => {
        const file = path.relative(root, path.join(resolveDir, named)).replaceAll(path.sep, '/');
        return kind === 'dynamic-import' && later.has(file) ? { path: 'later', namespace: 'later' } : undefined;
      });
      building.onLoad({ filter: /./, namespace: 'later' }, () => ({
        contents: [...later].map((file) => `export * from './${file}';`).join('\n'),
        resolveDir: root,
      }));
    },
  };
}

/**
 * Each output imports a module of VS Code or of Node once: else esbuild writes an import statement for each source file, 3 kB in all.
 *
 * @returns {import('esbuild').Plugin}
 */
function externalsOnce() {
  /** @type {Map<string, Set<string>>} */
  const used = new Map();
  for (const file of globSync('src/**/*.ts', { cwd: root })) {
    const imports = readFileSync(path.join(root, file), 'utf8').matchAll(
      /^import (?!type)(?:(\w+),? ?)?(?:\{([^}]*)\} )?from '(vscode|node:[^']+)';/gm,
    );
    for (const [, whole, braces = '', external = ''] of imports) {
      const names = used.get(external) ?? new Set();
      used.set(external, names);
      if (whole !== undefined) names.add('default');
      for (const name of braces.split(',').map((one) => one.trim().split(' as ')[0] ?? ''))
        if (name !== '' && !name.startsWith('type ')) names.add(name);
    }
  }
  return {
    name: 'externals once',
    setup(building) {
      building.onResolve({ filter: /^(vscode|node:.*)$/ }, ({ path: external, namespace, kind, importer }) => {
        const isOurs = importer.startsWith(path.join(root, 'src') + path.sep);
        if (namespace === 'externals' || kind !== 'import-statement' || !isOurs)
          return { path: external, external: true };
        return { path: external, namespace: 'externals' };
      });
      building.onLoad({ filter: /./, namespace: 'externals' }, ({ path: external }) => ({
        contents: `export { ${[...(used.get(external) ?? [])].join(', ')} } from '${external}';`,
      }));
    },
  };
}

/**
 * The backend checks what crosses the socket; the extension has its types and no schemas.
 *
 * @param {import('esbuild').Metafile} metafile
 */
function checkExtension({ outputs }) {
  const [entry] = Object.entries(outputs).find(([, { entryPoint }]) => entryPoint === 'src/vscode/extension.ts') ?? [];
  if (!entry) throw new Error("The extension's bundle was not built.");
  const schemas = Object.values(outputs).flatMap(({ inputs }) =>
    Object.keys(inputs).filter((file) => file.includes('node_modules/zod/')),
  );
  // A module of ES has no `require`: whatever calls one fails when a user runs it, and no command would work.
  const calling = Object.keys(outputs).filter((file) =>
    readFileSync(path.join(root, file), 'utf8').includes('Dynamic require of'),
  );
  if (calling.length > 0) throw new Error(`A package calls "require" at run time in ${calling.join(', ')}.`);
  if (schemas.length > 0) throw new Error(`The extension's bundle has schemas: ${schemas.join(', ')}`);
  const atStart = new Set([entry]);
  for (const file of atStart) {
    for (const { path, kind } of outputs[file]?.imports ?? []) if (kind === 'import-statement') atStart.add(path);
  }
  const bytes = [...atStart].reduce((sum, file) => sum + (outputs[file]?.bytes ?? 0), 0);
  print('  of these at the start', bytes);
  if (bytes > mostStartBytes)
    throw new Error(`VS Code loads ${bytes} bytes of the extension at its start; the limit is ${mostStartBytes}.`);
  const scripts = Object.entries(outputs).filter(([file]) => !file.endsWith('.map'));
  const whole = scripts.reduce((sum, [, output]) => sum + output.bytes, 0);
  print('  of these as a whole', whole);
  if (whole > mostExtensionBytes)
    throw new Error(`The extension has ${whole} bytes; the limit is ${mostExtensionBytes}.`);
}

/** @param {string} file @param {number} bytes */
function print(file, bytes) {
  console.log(`${file.padEnd(24)} ${(bytes / 1000).toFixed(1).padStart(8)} kB`);
}
