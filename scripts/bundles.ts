import path from 'node:path';
import type { BuildOptions } from 'esbuild';

/** The processes of the product besides the extension: the name of each bundle in dist/, and its entry. One starts another by that name. */
export const processBundles: Readonly<Record<string, string>> = {
  backend: 'src/backend/main.ts',
  embedded: 'src/embedded/main.ts',
  llamaWorker: 'src/embedded/worker/llamaWorker.ts',
  kvThread: 'src/embedded/kv/threads/kvThread.ts',
  cli: 'src/cli/main.ts',
  mcp: 'src/mcp/main.ts',
};

/** They run as ES modules on Node; packages in CommonJS inside them need a `require`, and some a folder. */
export const bundledProcesses = {
  absWorkingDir: path.resolve(import.meta.dirname, '..'),
  entryPoints: { ...processBundles },
  bundle: true,
  platform: 'node',
  target: 'node22',
  format: 'esm',
  // Names stay readable in stack traces and logs.
  keepNames: true,
  define: { 'process.env.NODE_ENV': '"production"' },
  // Finds its native binaries beside its own files: scripts/slimEngine.ts puts it into dist/node_modules.
  external: ['node-llama-cpp'],
  // Its other form loads its parts by a `require` that no bundler sees. This part has all that is used of it.
  alias: { 'jsonc-parser': 'jsonc-parser/lib/esm/impl/parser.js' },
  banner: {
    js: [
      "import { createRequire as bundleCreateRequire } from 'node:module';",
      'const require = bundleCreateRequire(import.meta.url);',
      'const __filename = import.meta.filename;',
      'const __dirname = import.meta.dirname;',
    ].join('\n'),
  },
} satisfies BuildOptions;

/** Every file of the product's own in dist/. */
export const bundleFiles: readonly string[] = [
  'extension.js',
  'conversation.js',
  'conversation.css',
  'memory.js',
  'memory.css',
  'sql-wasm.wasm',
  ...Object.keys(processBundles).map((name) => `${name}.js`),
];
