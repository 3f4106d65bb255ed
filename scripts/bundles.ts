/** The processes of the product besides the extension: the name of each bundle in dist/, and its entry. One starts another by that name. */
export const processBundles: Readonly<Record<string, string>> = {
  backend: 'src/backend/main.ts',
  embedded: 'src/embedded/main.ts',
  llamaWorker: 'src/embedded/worker/llamaWorker.ts',
  kvThread: 'src/embedded/kv/kvThread.ts',
  cli: 'src/cli/main.ts',
  mcp: 'src/mcp/main.ts',
};

/** Every file of the product's own in dist/. */
export const bundleFiles: readonly string[] = [
  'extension.js',
  'conversation.js',
  'conversation.css',
  'sql-wasm.wasm',
  ...Object.keys(processBundles).map((name) => `${name}.js`),
];
