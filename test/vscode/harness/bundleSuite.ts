import { build } from 'esbuild';
import { createRequire } from 'node:module';
import path from 'node:path';

const require = createRequire(import.meta.url);

/**
 * Bundles test files (TypeScript, using `describe` and `it` imported from `mocha`) into one CommonJS file that exports `run()`, as
 * VS Code wants it. `vscode` comes from the host; mocha loads parts of itself by name, so it stays in node_modules.
 * @throws esbuild's error, with places, when a file does not compile.
 */
export async function bundleSuite(testFiles: readonly string[], outputPath: string): Promise<void> {
  const inHost = path.join(import.meta.dirname, 'inHost.ts');
  const mocha = require.resolve('mocha');
  const loads = testFiles.map((file) => `require(${JSON.stringify(path.resolve(file))});`);
  await build({
    stdin: {
      contents: `import { runInHost } from ${JSON.stringify(inHost)};\nexport const run = () => runInHost(() => {\n${loads.join('\n')}\n});\n`,
      resolveDir: import.meta.dirname,
      sourcefile: 'suite.ts',
      loader: 'ts',
    },
    outfile: outputPath,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node22',
    sourcemap: 'external',
    alias: { mocha },
    external: ['vscode', mocha],
    logLevel: 'silent',
  });
}
