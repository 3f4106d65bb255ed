// Runs every case of the sweeps, of which `npm test` runs a sample: crash points, power cuts, fuzzed files and routes, the matrix of lies,
// the kills under many clients, the windows of models that cannot be cut; and the properties, with other cases than those of each commit.
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { binary, root, run } from './vitestRun.ts';

process.env['CWM_NIGHTLY'] = '1';
/** Test files whose cases depend on whether it is a night. */
const nightly = globSync('test/**/*.test.ts', { cwd: root }).filter((file) =>
  /support\/(?:nightly|fc)\.ts'/.test(readFileSync(path.join(root, file), 'utf8')),
);
const sweeps = await run(binary('vitest'), ['run', '--project', 'sweep']);
const others = await run(binary('vitest'), ['run', '--project', 'unit*', '--project', 'process*', ...nightly]);
process.exitCode = sweeps === 0 && others === 0 ? 0 : 1;
