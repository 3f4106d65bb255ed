// The backend as another release would be: the program itself, with the versions of the API that CWM_TEST_API names ("current,oldest").
import { composeServices } from '../../../src/backend/compose.ts';
import { parseBackendArguments } from '../../../src/backend/arguments.ts';
import { startBackend } from '../../../src/backend/runningBackend.ts';
import { alreadyRunningExitCode } from '../../../src/protocol/backendRecord.ts';

const [current = 0, oldest = 0] = (process.env['CWM_TEST_API'] ?? '').split(',').map(Number);
const args = parseBackendArguments(process.argv.slice(2));
const backend = await startBackend({ ...args, graceMs: 5000, api: { current, oldest } }, composeServices(args));
if (!backend) process.exit(alreadyRunningExitCode);
await backend.stopped;
process.exit(0);
