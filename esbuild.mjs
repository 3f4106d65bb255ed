// Bundles every process of the product into dist/: `node esbuild.mjs [--watch] [--outdir DIR] [--target TARGET]`. Prints what each file
// weighs. A target is a platform of VS Code, whose engine is put there; without one, it is the engine of this machine.
import { build, context } from 'esbuild';
import { copyFileSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { processBundles } from './scripts/bundles.ts';
import { engineFor } from './scripts/packageTargets.ts';
import { writeSlimEngine } from './scripts/slimEngine.ts';

const root = import.meta.dirname;
/** VS Code reads the extension's bundle at every start. */
const mostExtensionBytes = 150_000;
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

/** VS Code loads an extension by `require`. In CommonJS there is no `import.meta.url`, which finds the other files here. */
const extension = {
  ...common,
  entryPoints: { extension: 'src/vscode/extension.ts' },
  outdir,
  outExtension: { '.js': '.cjs' },
  format: 'cjs',
  external: ['vscode'],
  // VS Code reads this file at every start. Names in stack traces are the only loss (CwmError sets its own name): 10 kB of 177. The map
  // brings them back, and no package holds it: building the same commit gives it again.
  keepNames: watch,
  sourcemap: watch ? 'linked' : 'external',
  define: { ...common.define, 'import.meta.url': 'bundleUrl' },
  banner: { js: "const bundleUrl = require('node:url').pathToFileURL(__filename).href;" },
};

/** The other processes run as ES modules on Node; packages in CommonJS inside them need a `require`, and some a folder. */
const processes = {
  ...common,
  entryPoints: processBundles,
  outdir,
  format: 'esm',
  // Finds its native binaries beside its own files: scripts/slimEngine.ts puts it into dist/node_modules.
  external: ['node-llama-cpp'],
  banner: {
    js: [
      "import { createRequire as bundleCreateRequire } from 'node:module';",
      'const require = bundleCreateRequire(import.meta.url);',
      'const __filename = import.meta.filename;',
      'const __dirname = import.meta.dirname;',
    ].join('\n'),
  },
};

rmSync(outdir, { recursive: true, force: true });
mkdirSync(outdir, { recursive: true });
// sql.js looks for it beside the file that it is bundled into.
copyFileSync(require.resolve('sql.js/dist/sql-wasm.wasm'), path.join(outdir, 'sql-wasm.wasm'));
const slimEngine = await writeSlimEngine(root, outdir, values.target && engineFor(root, values.target));

if (watch) {
  for (const options of [extension, processes]) await (await context(options)).watch();
} else {
  for (const options of [extension, processes]) {
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
 * The backend checks what crosses the socket; the extension has its types and no schemas.
 *
 * @param {import('esbuild').Metafile} metafile
 */
function checkExtension(metafile) {
  const [, output] = Object.entries(metafile.outputs).find(([file]) => file.endsWith('.cjs')) ?? [];
  if (!output) throw new Error("The extension's bundle was not built.");
  const schemas = Object.keys(output.inputs).filter((file) => file.includes('node_modules/zod/'));
  if (schemas.length > 0) throw new Error(`The extension's bundle has schemas: ${schemas.join(', ')}`);
  if (output.bytes > mostExtensionBytes)
    throw new Error(`The extension's bundle has ${output.bytes} bytes; the limit is ${mostExtensionBytes}.`);
}

/** @param {string} file @param {number} bytes */
function print(file, bytes) {
  console.log(`${file.padEnd(24)} ${(bytes / 1000).toFixed(1).padStart(8)} kB`);
}
