// Runs the checks that take too long for every commit, one after the other: the coverage gate, every case of the sweeps of which `npm test`
// runs a sample, the whole live suite with its long runs, the suite in VS Code's extension host with each of its windows and its chat on a real
// model, VS Code in a browser, the way from the choice of a model server to a receipt in VS Code with real servers, the packages, the soak and the benchmarks. The last line is `N passed,
// N failed`. Arguments choose parts by name: `npm run nightly -- soak`.
import { performance } from 'node:perf_hooks';
import { run } from './vitestRun.ts';

interface Part {
  readonly name: string;
  readonly script: string;
  readonly args?: readonly string[];
  /** Scripts with their arguments that bring what it needs, where that is not there yet. */
  readonly installs?: readonly (readonly string[])[];
}

const parts: readonly Part[] = [
  { name: 'coverage', script: 'scripts/coverage.ts' },
  { name: 'sweeps', script: 'scripts/sweeps.ts' },
  { name: 'engines', script: 'scripts/testEngines.ts' },
  {
    name: 'clients',
    script: 'scripts/testClients.ts',
    installs: [['test/clients/installClients.ts'], ['test/engines/live/install.ts', 'gemma', 'llama-server']],
  },
  { name: 'build', script: 'esbuild.mjs' },
  { name: 'host', script: 'test/vscode/runSuite.ts' },
  { name: 'browser', script: 'test/vscode/runUi.ts' },
  { name: 'pictures', script: 'test/vscode/runPictures.ts' },
  { name: 'packages', script: 'scripts/package.ts', args: ['--all', '--out', 'test-results'] },
  { name: 'soak', script: 'scripts/soak.ts', args: ['--minutes', '10'] },
  { name: 'bench', script: 'scripts/bench.ts', args: ['--whole', '--json', 'test-results/bench.json'] },
];

const chosen = process.argv.slice(2);
const unknown = chosen.filter((name) => !parts.some((part) => part.name === name));
if (unknown.length > 0) {
  console.error(`There is no part ${unknown.join(', ')}. Parts: ${parts.map(({ name }) => name).join(', ')}.`);
  process.exit(2);
}

/** `test/support/nightly.ts` reads it. */
process.env['CWM_NIGHTLY'] = '1';
const failed: string[] = [];
const ran = parts.filter(({ name }) => chosen.length === 0 || chosen.includes(name));
for (const { name, script, args = [], installs = [] } of ran) {
  console.log(`\n── ${name}`);
  const started = performance.now();
  for (const command of [...installs, [script, ...args]]) {
    if ((await run(process.execPath, command)) === 0) continue;
    failed.push(name);
    break;
  }
  console.log(
    `── ${name}: ${failed.includes(name) ? 'FAILED' : 'ok'} in ${((performance.now() - started) / 1000).toFixed(0)} s`,
  );
}
console.log(`${ran.length - failed.length} passed, ${failed.length} failed`);
process.exitCode = failed.length === 0 ? 0 : 1;
