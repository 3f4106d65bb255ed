import { setTimeout as pause } from 'node:timers/promises';
import { Option, type Command } from 'commander';
import { absolutePath } from '../../../client/absolutePath.ts';
import type { RouteOutput } from '../../../protocol/api.ts';
import { CwmError, isCwmError } from '../../../protocol/errors.ts';
import {
  conflictPolicies,
  type SelectedSessions,
  type ConflictPolicy,
  type SessionState,
  type SyncResult,
} from '../../../protocol/schemas/tracker.ts';
import type { Perform } from '../../action.ts';
import { wholeNumber } from '../../arguments.ts';
import { formatAge } from '../../../base/format.ts';
import { noRecoveryPoint, recoveryPointsTable, wentBackSentences } from '../../../words/recoveryPoints.ts';
import { formatTable } from '../../terminal/layout.ts';
import { withCommonOptions, type Run } from '../../run.ts';

const sessionArgument = ['<session>', 'id of the session, or @ for the session that was selected last'] as const;
const maxAttempts = 50;
const maxPauseMs = 100;

export function registerState(program: Command, perform: Perform): void {
  const state = program
    .command('state')
    .description('store versioned data with a session, and go back to how the session was');
  registerData(state, perform);
  registerRecovery(state, perform);
  registerSync(state, perform);
  registerActivation(state, perform);
}

function registerData(state: Command, perform: Perform): void {
  withCommonOptions(state.command('get'))
    .description('show the data stored with a session')
    .argument(...sessionArgument)
    .argument('[name]', 'show only the value of this name')
    .action((session: string, name: string | undefined, common: object) =>
      perform(common, async (run) => {
        const state = await run.call('getState', { session });
        if (name === undefined) run.print(state, stateText);
        else run.print(valueOf(state, name), inJson);
      }),
    );
  withCommonOptions(state.command('set'))
    .description('store a value under a name; changes that others make at the same time stay')
    .argument(...sessionArgument)
    .argument('<name>', 'name of the value')
    .argument('<value>', 'JSON, or any other text')
    .option('--if-version <n>', 'store it only if the state has this version', wholeNumber(0))
    .action((session: string, name: string, value: string, { ifVersion, ...common }: { ifVersion?: number }) =>
      perform(common, async (run) => {
        const change = (data: SessionState['data']): SessionState['data'] => ({ ...data, [name]: jsonOrText(value) });
        run.print(await update(run, session, change, ifVersion), storedText);
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
        run.print(await update(run, session, change, undefined), storedText);
      }),
    );
}

function registerRecovery(state: Command, perform: Perform): void {
  withCommonOptions(state.command('recovery-points'))
    .description('list the moments that a session can go back to')
    .argument(...sessionArgument)
    .option('--add', 'create a recovery point now')
    .action((session: string, { add, ...common }: { add?: boolean }) =>
      perform(common, async (run) => {
        if (add)
          run.print(await run.call('createRecoveryPoint', { session }), ({ id }) => `Created recovery point ${id}.`);
        else run.print(await run.call('listRecoveryPoints', { session }), pointsText);
      }),
    );
  withCommonOptions(state.command('go-back'))
    .description('let a session, its state and its conversation, go back to a recovery point; by default the latest')
    .argument(...sessionArgument)
    .option('--id <id>', 'the recovery point with this id')
    .option('--state-version <n>', 'a recovery point with exactly this version of the state', wholeNumber(0))
    .option('--at <time>', 'the latest recovery point that is not after this time (ISO 8601)')
    .action(
      (session: string, { id, stateVersion, at, ...common }: { id?: string; stateVersion?: number; at?: string }) =>
        perform(common, async (run) => {
          run.print(
            await run.call('restoreRecoveryPoint', { session, id, version: stateVersion, at }, 'Going back'),
            (result) => wentBackSentences(result.state.session, result).join('\n'),
          );
        }),
    );
}

function registerSync(state: Command, perform: Perform): void {
  for (const [direction, what] of [
    ['sync', "synchronise a session's state with a folder"],
    ['pull', "replace the session's state by the folder's"],
    ['push', "replace the folder's state by the session's"],
  ] as const) {
    withCommonOptions(state.command(direction))
      .description(what)
      .argument(...sessionArgument)
      .argument('<folder>', 'a folder that both sides can reach')
      .addOption(
        new Option('--policy <policy>', 'what to do when both sides have changed')
          .choices(conflictPolicies)
          .default('manual'),
      )
      .action((session: string, folder: string, { policy, ...common }: { policy: ConflictPolicy }) =>
        perform(common, async (run) => {
          const input = { session, folder: absolutePath(folder, run.terminal.cwd), direction, policy };
          run.print(await run.call('syncState', input, 'Synchronising'), syncText);
        }),
      );
  }
}

function registerActivation(state: Command, perform: Perform): void {
  withCommonOptions(state.command('activate'))
    .description('select a session; @ stands for the session that was selected last')
    .argument('<session>', 'id of the session')
    .action((session: string, common: object) =>
      perform(common, async (run) => run.print(await run.call('selectSession', { session }), selectedText)),
    );
  withCommonOptions(state.command('deactivate'))
    .description('deselect the last session; @ stands for the one selected before it')
    .action((common: object) =>
      perform(common, async (run) => run.print(await run.call('deselectSession', {}), selectedText)),
    );
  withCommonOptions(state.command('active'))
    .description('list the selected sessions')
    .action((common: object) =>
      perform(common, async (run) => run.print(await run.call('selectedSessions', {}), selectedText)),
    );
}

/** Reads, changes and stores, and tries again when another client stored first. @param version undefined: any. */
async function update(
  run: Run,
  given: string,
  change: (data: SessionState['data']) => SessionState['data'],
  version: number | undefined,
): Promise<SessionState> {
  for (let attempt = 1; ; attempt++) {
    const {
      session,
      sessionCreatedAt,
      version: stored,
      data,
      metadata,
    } = await run.call('getState', { session: given });
    try {
      const next = { session, sessionCreatedAt, version: (version ?? stored) + 1, data: change(data), metadata };
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
    hint: 'Run "cwm state get SESSION" to see which names it has.',
  });
}

const inJson = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value, null, 2));

const stateText = ({ session, version, lastUpdated, data }: SessionState): string =>
  version === 0
    ? `Session ${session} has no state.`
    : `State of session ${session}, version ${version}, ${formatAge(lastUpdated, new Date())}:\n${inJson(data)}`;

const storedText = ({ session, version }: SessionState): string =>
  `The state of session ${session} is now version ${version}.`;

function pointsText({ items, damaged }: RouteOutput<'listRecoveryPoints'>): string {
  return [
    items.length === 0 ? noRecoveryPoint : formatTable(recoveryPointsTable(items, new Date())),
    ...(damaged.length === 0 ? [] : [`Damaged: ${damaged.join(', ')}.`]),
  ].join('\n');
}

function syncText({ state, pulled, pushed, conflict }: SyncResult): string {
  const what =
    pulled && pushed
      ? 'Session and folder were both updated'
      : pulled
        ? 'The session took the state of the folder'
        : pushed
          ? 'The folder took the state of the session'
          : 'Session and folder already had the same state';
  return `${what}${conflict ? '; both had changed' : ''}. The state of session ${state.session} is version ${state.version}.`;
}

const selectedText = ({ active, deactivated }: SelectedSessions): string =>
  [
    active.length === 0 ? 'No session is selected.' : `Selected: ${active.join(', ')}.`,
    ...(deactivated === null ? [] : [`Session ${deactivated} is no longer selected, to make room.`]),
  ].join('\n');
