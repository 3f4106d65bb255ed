import { setTimeout as pause } from 'node:timers/promises';
import { Option, type Command } from 'commander';
import { absolutePath } from '../../client/absolutePath.ts';
import type { RouteOutput } from '../../protocol/api.ts';
import { CwmError, isCwmError } from '../../protocol/errors.ts';
import {
  conflictPolicies,
  type ActiveStates,
  type ConflictPolicy,
  type RestoreResult,
  type SessionState,
  type SyncResult,
} from '../../protocol/schemas/tracker.ts';
import type { Perform } from '../action.ts';
import { wholeNumber } from '../arguments.ts';
import { formatAge, formatCount } from '../../base/format.ts';
import { formatTable, plural } from '../terminal/layout.ts';
import { withCommonOptions, type Run } from '../run.ts';

const sessionArgument = ['<session>', 'id of the session, or @ for the active one'] as const;
const maxAttempts = 50;
const maxPauseMs = 100;

export function registerState(program: Command, perform: Perform): void {
  const state = program
    .command('state')
    .description('keep data with a session, versioned, and go back to how the session was');
  registerData(state, perform);
  registerRecovery(state, perform);
  registerSync(state, perform);
  registerActivation(state, perform);
}

function registerData(state: Command, perform: Perform): void {
  withCommonOptions(state.command('get'))
    .description('show what is kept with a session')
    .argument(...sessionArgument)
    .argument('[name]', 'only the value of this name')
    .action((session: string, name: string | undefined, common: object) =>
      perform(common, async (run) => {
        const state = await run.call('getState', { session });
        if (name === undefined) run.print(state, stateInWords);
        else run.print(valueOf(state, name), inJson);
      }),
    );
  withCommonOptions(state.command('set'))
    .description('keep a value under a name; what others change meanwhile stays')
    .argument(...sessionArgument)
    .argument('<name>', 'name of the value')
    .argument('<value>', 'JSON, or else a text')
    .option('--if-version <n>', 'only when the state has this version', wholeNumber(0))
    .action((session: string, name: string, value: string, { ifVersion, ...common }: { ifVersion?: number }) =>
      perform(common, async (run) => {
        const change = (data: SessionState['data']): SessionState['data'] => ({ ...data, [name]: jsonOrText(value) });
        run.print(await update(run, session, change, ifVersion), storedInWords);
      }),
    );
  withCommonOptions(state.command('unset'))
    .description('remove a name and its value')
    .argument(...sessionArgument)
    .argument('<name>', 'name of the value')
    .action((session: string, name: string, common: object) =>
      perform(common, async (run) => {
        const change = (data: SessionState['data']): SessionState['data'] =>
          Object.fromEntries(Object.entries(data).filter(([other]) => other !== name));
        run.print(await update(run, session, change, undefined), storedInWords);
      }),
    );
}

function registerRecovery(state: Command, perform: Perform): void {
  withCommonOptions(state.command('recovery-points'))
    .description('list the moments that a session can be taken back to')
    .argument(...sessionArgument)
    .option('--add', 'make one now')
    .action((session: string, { add, ...common }: { add?: boolean }) =>
      perform(common, async (run) => {
        if (add)
          run.print(await run.call('createRecoveryPoint', { session }), ({ id }) => `Made recovery point ${id}.`);
        else run.print(await run.call('listRecoveryPoints', { session }), pointsInWords);
      }),
    );
  withCommonOptions(state.command('restore'))
    .description('take a session, its state and its conversation, back to a recovery point: by default the latest')
    .argument(...sessionArgument)
    .option('--id <id>', 'the one with this id')
    .option('--state-version <n>', 'one with exactly this version of the state', wholeNumber(0))
    .option('--at <time>', 'the latest one that is not after this time (ISO 8601)')
    .action(
      (session: string, { id, stateVersion, at, ...common }: { id?: string; stateVersion?: number; at?: string }) =>
        perform(common, async (run) => {
          run.print(
            await run.call('restoreRecoveryPoint', { session, id, version: stateVersion, at }, 'Restoring'),
            restoredInWords,
          );
        }),
    );
}

function registerSync(state: Command, perform: Perform): void {
  for (const [direction, what] of [
    ['sync', 'bring the state of a session and the one in a folder to the same'],
    ['pull', 'take what the folder has into the session'],
    ['push', 'put what the session has into the folder'],
  ] as const) {
    withCommonOptions(state.command(direction))
      .description(what)
      .argument(...sessionArgument)
      .argument('<folder>', 'a folder that both sides can reach')
      .addOption(new Option('--policy <policy>', 'when both were changed').choices(conflictPolicies).default('manual'))
      .action((session: string, folder: string, { policy, ...common }: { policy: ConflictPolicy }) =>
        perform(common, async (run) => {
          const input = { session, folder: absolutePath(folder, run.terminal.cwd), direction, policy };
          run.print(await run.call('syncState', input, 'Synchronising'), syncInWords);
        }),
      );
  }
}

function registerActivation(state: Command, perform: Perform): void {
  withCommonOptions(state.command('activate'))
    .description('make a session the active one, which @ stands for')
    .argument('<session>', 'id of the session')
    .action((session: string, common: object) =>
      perform(common, async (run) => run.print(await run.call('activateState', { session }), activeInWords)),
    );
  withCommonOptions(state.command('deactivate'))
    .description('go back to the session that was active before')
    .action((common: object) =>
      perform(common, async (run) => run.print(await run.call('deactivateState', {}), activeInWords)),
    );
  withCommonOptions(state.command('active'))
    .description('show which sessions are active')
    .action((common: object) =>
      perform(common, async (run) => run.print(await run.call('activeStates', {}), activeInWords)),
    );
}

/** Reads, changes and stores, until nobody else was faster. @param version undefined: whichever there is. */
async function update(
  run: Run,
  given: string,
  change: (data: SessionState['data']) => SessionState['data'],
  version: number | undefined,
): Promise<SessionState> {
  for (let attempt = 1; ; attempt++) {
    const { session, version: stored, data, metadata } = await run.call('getState', { session: given });
    try {
      const next = { session, version: (version ?? stored) + 1, data: change(data), metadata };
      return await run.call('updateState', next);
    } catch (error) {
      const isOvertaken = isCwmError(error, 'VersionConflict', 'TooManyOperations');
      if (!isOvertaken || version !== undefined || attempt === maxAttempts) throw error;
      await pause(Math.random() * maxPauseMs, undefined, { signal: run.terminal.interrupted });
    }
  }
}

function jsonOrText(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

function valueOf({ session, data }: SessionState, name: string): unknown {
  if (Object.hasOwn(data, name)) return data[name];
  throw new CwmError('PathNotFound', `The state of session "${session}" has no ${JSON.stringify(name)}.`, {
    hint: 'Show the whole state to see what it has.',
  });
}

const inJson = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value, null, 2));

const stateInWords = ({ session, version, lastUpdated, data }: SessionState): string =>
  version === 0
    ? `Nothing is kept with session ${session}.`
    : `Session ${session}, version ${version}, ${formatAge(lastUpdated, new Date())}:\n${inJson(data)}`;

const storedInWords = ({ session, version }: SessionState): string => `Session ${session} has version ${version} now.`;

function pointsInWords({ items, damaged }: RouteOutput<'listRecoveryPoints'>): string {
  const now = new Date();
  const table = formatTable(
    ['ID', 'MADE', 'BEFORE', 'VERSION', 'MESSAGES', 'TOKENS'],
    items.map(({ id, at, reason, version, messages, tokens }) => [
      id,
      formatAge(at, now),
      reason,
      formatCount(version),
      formatCount(messages),
      formatCount(tokens),
    ]),
  );
  return [
    items.length === 0 ? 'There is no recovery point.' : table,
    ...(damaged.length === 0 ? [] : [`Damaged: ${damaged.join(', ')}.`]),
  ].join('\n');
}

const restoredInWords = ({ restored, state, undo, damaged }: RestoreResult): string =>
  [
    `Session ${state.session} is as it was at ${restored.at}: ${plural(restored.messages, 'message')}, state of version ${restored.version} (now version ${state.version}).`,
    ...(damaged.length === 0 ? [] : [`Damaged, and passed over: ${damaged.join(', ')}.`]),
    ...(undo === null ? [] : [`How it was before is recovery point ${undo}.`]),
  ].join('\n');

function syncInWords({ state, pulled, pushed, conflict }: SyncResult): string {
  const what =
    pulled && pushed
      ? 'Session and folder were both brought up to date'
      : pulled
        ? 'The session took what the folder had'
        : pushed
          ? 'The folder took what the session had'
          : 'Nothing was to be done';
  return `${what}${conflict ? '; both had been changed' : ''}. Session ${state.session} has version ${state.version}.`;
}

const activeInWords = ({ active, deactivated }: ActiveStates): string =>
  [
    active.length === 0 ? 'No session is active.' : `Active: ${active.join(', ')}.`,
    ...(deactivated === null ? [] : [`Session ${deactivated} made room.`]),
  ].join('\n');
