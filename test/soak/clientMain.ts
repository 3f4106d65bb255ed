import { backendClient } from '../../src/client/connectBackend.ts';
import { CwmError, toCwmError } from '../../src/protocol/errors.ts';
import { startOf } from './backendStart.ts';
import { callByCommandLine } from './commandLine.ts';
import { Mirror } from './mirror.ts';
import type { ClientReply, ClientTask, Outcome, Request } from './request.ts';

/** A client of the backend as a process: `<storage> <kind>`. It does what it is told and says what came of it. */
const [storage = '', kind = ''] = process.argv.slice(2);
const client = backendClient({ storage, kind, start: startOf(), deadlineMs: 60_000 });
const mirror = kind === 'cli' ? null : new Mirror(client);

process.on('message', (task: ClientTask) => void answer(task));
process.on('disconnect', () => process.exit(0));

async function answer(task: ClientTask): Promise<void> {
  const reply: ClientReply = { id: task.id, outcome: await perform(task) };
  process.send?.(reply);
}

async function perform(task: ClientTask): Promise<Outcome> {
  try {
    if ('look' in task) return { kind: 'done', output: (await mirror?.picture()) ?? null };
    return { kind: 'done', output: await call(task.request) };
  } catch (error) {
    const failure = error instanceof CwmError ? error : toCwmError(error);
    if (failure.code === 'CWM-5010' && failure.context?.['unknown'] === true) return { kind: 'unknown' };
    return { kind: 'refused', report: failure.report() };
  }
}

const call = (request: Request): Promise<unknown> =>
  kind === 'cli' ? callByCommandLine(storage, request) : client.call(request.name, request.input);
