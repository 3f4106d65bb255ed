import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CwmError } from '../../src/protocol/errors.ts';
import { allEndings, endAs, faultKinds, type Ending } from './crashEndings.ts';
import { crashOperations } from './crashOperations.ts';
import { documentedCrashes, type CrashRow } from './crashTable.ts';
import { filledFiles, look, openWorld, root, type World } from './crashWorld.ts';
import { FaultyFiles, type FaultKind } from './faultyFiles.ts';
import type { MemoryFiles } from './memoryFiles.ts';
import { isSampled } from '../support/nightly.ts';

type Run = (world: World) => Promise<unknown>;

let filled: MemoryFiles;
/** It fails in each kind, or the disk is full. */
const faultsOfAWrite = faultKinds.length + 1;
const rows: CrashRow[] = [];

beforeAll(async () => {
  filled = await filledFiles();
});

afterAll(() => {
  const sum = (of: 'points' | 'crashes' | 'failures'): number => rows.reduce((all, row) => all + row[of], 0);
  const total = { operation: 'all', points: sum('points'), crashes: sum('crashes'), failures: sum('failures') };
  console.table([...rows, total]);
});

interface Stage {
  readonly memory: MemoryFiles;
  readonly faulty: FaultyFiles;
  readonly world: World;
}

async function setUp(): Promise<Stage> {
  const memory = filled.copy();
  const faulty = new FaultyFiles(memory);
  const world = await openWorld(faulty.files);
  faulty.heal();
  return { memory, faulty, world };
}

/** What the next start finds; everything is read and nothing may be wrong with it. */
async function openAgain(memory: MemoryFiles, where: string): Promise<object> {
  const world = await openWorld(memory);
  const state = await look(world);
  for (const { id, phase } of (await world.cwm.listSessions({})).items) expect(phase, `${id}, ${where}`).toBe('Idle');
  const steps = await world.store.check.verify(world.signal);
  expect(
    steps.flatMap(({ problems }) => problems),
    where,
  ).toEqual([]);
  for (const left of ['tmp', 'intents']) expect(await memory.list(`${root}/${left}`), where).toEqual([]);
  await world.store.close();
  return state;
}

/** The operation on whole files: its changes, and the states before and after. */
async function wholeRun(run: Run): Promise<{ changes: readonly string[]; before: object; after: object }> {
  const { memory, faulty, world } = await setUp();
  const before = await look(world);
  await run(world);
  const changes = [...faulty.seen];
  await world.store.close();
  return { changes, before, after: await openAgain(memory, 'after all of it') };
}

/** Dies at one change of the operation, ends as told and starts again. */
async function die(run: Run, at: number, kind: FaultKind, ending: Ending, seed: number) {
  const { memory, faulty, world } = await setUp();
  faulty.dieAt(at, kind);
  // A dead process acknowledges nothing, whatever it would have answered.
  await run(world).catch(() => undefined);
  const where = `${ending} at change ${at}, ${faulty.seen[at]} (${kind})`;
  endAs(ending, memory, seed);
  return { where, state: await openAgain(memory, where) };
}

describe.each(Object.entries(crashOperations).map(([operation, row], index) => ({ operation, index, ...row })))(
  'S4-06 a crash at any change of: $operation',
  ({ operation, index, run, states, isRefusal }) => {
    it('leaves it done or not done, and what was acknowledged done', async () => {
      const { changes, before, after } = await wholeRun(run);
      const allowed: object[] = [];
      const add = (state: object): void => {
        if (!allowed.some((known) => isDeepStrictEqual(known, state))) allowed.push(state);
      };
      add(before);
      let crashes = 0;
      // A process that is killed between two changes shows every state there is in between.
      for (const at of changes.keys()) add((await die(run, at, 'before', 'kill -9', 0)).state);
      add(after);
      expect(allowed).toHaveLength(states);
      for (const [way, { kind, ending }] of allEndings.entries()) {
        for (const at of changes.keys()) {
          if (!isSampled(at + way, 12)) continue;
          const { where, state } = await die(run, at, kind, ending, ++crashes);
          expect(allowed, where).toContainEqual(state);
        }
        // After its last change it is acknowledged.
        if (!isSampled(index + way, 3)) continue;
        const { where, state } = await die(run, changes.length, kind, ending, ++crashes);
        expect(state, where).toEqual(after);
      }
      const failures = isRefusal ? 0 : await failEverywhere(run, changes.length, { allowed, after });
      expect(documentedCrashes()).toContainEqual({
        operation,
        points: changes.length,
        crashes: allEndings.length * (changes.length + 1),
        failures: isRefusal ? 0 : faultsOfAWrite * changes.length,
      });
      rows.push({ operation, points: changes.length, crashes, failures });
    });
  },
);

/** One change fails, or the disk is full from there on: it is refused or done, and can be done again where it was refused. */
async function failEverywhere(
  run: Run,
  changes: number,
  { allowed, after }: { allowed: readonly object[]; after: object },
): Promise<number> {
  const faults: ((faulty: FaultyFiles, at: number) => void)[] = [
    ...faultKinds.map((kind) => (faulty: FaultyFiles, at: number) => faulty.failAt(at, kind, 'EIO')),
    (faulty, at) => faulty.fillFrom(at),
  ];
  let failures = 0;
  for (let at = 0; at < changes; at++) {
    for (const [index, arm] of faults.entries()) {
      if (!isSampled(at + index, 2 * faultsOfAWrite)) continue;
      const { memory, faulty, world } = await setUp();
      arm(faulty, at);
      const error = await run(world).then(
        () => null,
        (thrown: unknown) => thrown,
      );
      const where = `failure ${index} of change ${at}, ${faulty.seen[at]}`;
      failures++;
      faulty.heal();
      const state = await look(world);
      // Which session a folder was left with is kept where it can be; a note says when it was not.
      if (error === null) expect({ ...state, active: null }, where).toEqual({ ...after, active: null });
      else {
        expect(error, where).toBeInstanceOf(CwmError);
        expect((error as CwmError).code, where).toMatch(/^CWM-400[13]$/);
        expect(allowed, where).toContainEqual(state);
        await run(world);
        expect(await look(world), `${where}, again`).toEqual(after);
      }
      await world.store.close();
      await openAgain(memory, where);
    }
  }
  return failures;
}
