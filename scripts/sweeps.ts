// Runs every case of the sweeps, of which `npm test` runs a sample: crash points, power cuts, fuzzed files and routes, the matrix of lies,
// the kills under many clients, and the windows of models that cannot be cut.
import { binary, run } from './vitestRun.ts';

process.env['CWM_NIGHTLY'] = '1';
const sampledProcessTests = ['test/backend/api/manyClients', 'test/security/routeFuzz', 'test/soak', 'test/embedded'];
const sweeps = await run(binary('vitest'), ['run', '--project', 'sweep']);
const processes = await run(binary('vitest'), ['run', '--project', 'process', ...sampledProcessTests]);
process.exitCode = sweeps === 0 && processes === 0 ? 0 : 1;
