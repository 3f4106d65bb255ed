// Runs every case of the sweeps, of which `npm test` runs a sample: crash points, power cuts, fuzzed files and routes, the matrix of lies,
// the kills under many clients, and the windows of models that cannot be cut.
import { binary, run } from './vitestRun.ts';

process.env['CWM_NIGHTLY'] = '1';
/** Of the other projects, those that `npm test` runs a sample of. */
const sampled = [
  'test/store/restoreBackup',
  'test/core/memory/toolState',
  'test/backend/turns',
  'test/backend/api/manyClients',
  'test/security/routeFuzz',
  'test/soak',
  'test/embedded',
];
const sweeps = await run(binary('vitest'), ['run', '--project', 'sweep']);
const others = await run(binary('vitest'), ['run', '--project', 'unit', '--project', 'process', ...sampled]);
process.exitCode = sweeps === 0 && others === 0 ? 0 : 1;
