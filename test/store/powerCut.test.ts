import { afterAll, describe, expect, it } from 'vitest';
import type { FileStore } from '../../src/store/fileStore.ts';
import {
  aKvRecord,
  aManifest,
  aMessage,
  aReceipt,
  aSession,
  contextTokens,
  messageId,
  nextVersion,
  sessionId,
  someIds,
  windowName,
} from './builders.ts';
import { allEndings, endAs, type Ending } from './crashEndings.ts';
import { FaultyFiles, type FaultKind } from './faultyFiles.ts';
import { MemoryFiles } from './memoryFiles.ts';
import { fill, observe, operations } from './operations.ts';
import { openTestStore } from './testStore.ts';
import { isSampled } from '../support/nightly.ts';

const root = '/home/me/store';
type Steps = readonly ((store: FileStore) => Promise<unknown>)[];
type State = Awaited<ReturnType<typeof observe>>;

let crashes = 0;
afterAll(() => console.log(`single changes of the store: ${crashes} crashes`));

async function filled(): Promise<{ memory: MemoryFiles; faulty: FaultyFiles; store: FileStore }> {
  const memory = new MemoryFiles();
  const faulty = new FaultyFiles(memory);
  const store = await openTestStore(root, { files: faulty.files });
  await fill(store);
  faulty.heal();
  return { memory, faulty, store };
}

/** What a store that is opened now shows. It is closed again, so that the next one is the only one. */
async function stateOf(memory: MemoryFiles): Promise<State> {
  const store = await openTestStore(root, { files: memory });
  const state = await observe(store);
  expect((await store.check.verify(new AbortController().signal)).flatMap((step) => step.problems)).toEqual([]);
  await store.close();
  return state;
}

/** State after each of the steps was acknowledged and the process ended. */
async function acknowledgedStates(steps: Steps): Promise<State[]> {
  const states: State[] = [];
  for (let done = 0; done <= steps.length; done++) {
    const { memory, store } = await filled();
    for (const step of steps.slice(0, done)) await step(store);
    memory.cutPower();
    states.push(await stateOf(memory));
  }
  return states;
}

/** Ends the process at each change of the steps, opens the store again and gives `check` how many steps were acknowledged. */
async function dieEverywhere(
  steps: Steps,
  kind: FaultKind,
  ending: Ending,
  check: (state: State, acknowledged: number, where: string) => void,
): Promise<void> {
  const whole = await filled();
  for (const step of steps) await step(whole.store);
  const changes = whole.faulty.seen;
  expect(changes.length).toBeGreaterThan(0);
  const way = allEndings.findIndex((one) => one.kind === kind && one.ending === ending);
  for (const [at, change] of changes.entries()) {
    if (!isSampled(at + way, 9)) continue;
    const { memory, faulty, store } = await filled();
    faulty.dieAt(at, kind);
    crashes++;
    let acknowledged = 0;
    try {
      for (const step of steps) {
        await step(store);
        acknowledged++;
      }
    } catch {
      // The process is dead: nobody hears of it.
    }
    endAs(ending, memory, at);
    check(await stateOf(memory), acknowledged, `${ending} at change ${at}, ${change} (${kind})`);
    expect(await memory.list(`${root}/tmp`)).toEqual([]);
  }
}

describe.each(allEndings.map((one, way) => ({ ...one, way })))(
  'S4-06 a $ending during a change ($kind)',
  ({ kind, ending, way }) => {
    it.each(Object.entries(operations).filter(([name]) => name !== 'appendMessages of two'))(
      'leaves %s done or not done, and nothing else changed',
      async (_, operation) => {
        const [before, after] = await acknowledgedStates([operation]);
        await dieEverywhere([operation], kind, ending, (state, acknowledged, where) => {
          if (acknowledged === 1) expect(state, where).toEqual(after);
          else expect([before, after], where).toContainEqual(state);
        });
      },
    );

    it('leaves a freeze done or not done, never a frozen session without its window', async () => {
      const session = nextVersion(aSession({ tokens: contextTokens(someIds), project: 'file:///p' }));
      const steps: Steps = [
        (store) => store.windows.create(aManifest({ mode: 'freeze' }), someIds, aKvRecord()),
        (store) => store.sessions.update(nextVersion(session, { lifecycle: 'frozen', frozenAs: 'w1' })),
        (store) => store.receipts.append(windowName('w1'), aReceipt({ operation: 'freeze' })),
      ];
      const states = await acknowledgedStates(steps);
      expect(states[1]).toMatchObject({ s1: { lifecycle: 'frozen', frozenAs: 'w1', version: 3 } });
      await dieEverywhere(steps, kind, ending, (state, acknowledged, where) => {
        expect(states.slice(acknowledged, acknowledged + 2), where).toContainEqual(state);
      });
    });

    it('leaves each message of an append whole or not there', async () => {
      await dieEverywhere([operations['appendMessages of two']!], kind, ending, (state, acknowledged, where) => {
        const allowed = acknowledged === 1 ? [] : ['CWM-2007'];
        expect([[aMessage('m2', 2)], ...allowed], where).toContainEqual(state['s1 m2']);
        expect([[aMessage('m3', 3)], ...allowed], where).toContainEqual(state['s1 m3']);
        expect(state['s1 m1'], where).toEqual([aMessage('m1', 1)]);
      });
    });

    it.each([
      ['deleteSession', 'contexts/s2/metadata.json'],
      ['deleteWindow', 'windows/w0/manifest.json'],
    ])('leaves what %s takes away in its place or in the trash', async (operation, path) => {
      const whole = await filled();
      await operations[operation]!(whole.store);
      for (const at of whole.faulty.seen.keys()) {
        if (!isSampled(at + way, 3)) continue;
        const { memory, faulty, store } = await filled();
        faulty.dieAt(at, kind);
        await operations[operation]!(store).catch(() => undefined);
        endAs(ending, memory, at);
        const isThere = Object.keys(memory.tree(root)).filter(
          (name) => name === path || (name.startsWith('trash/') && name.endsWith(path.split('/').at(-1)!)),
        );
        expect(isThere.length, `after change ${at}`).toBeGreaterThan(0);
      }
    });

    it('leaves a first start such that the next one works', async () => {
      const faulty = new FaultyFiles(new MemoryFiles());
      await openTestStore(root, { files: faulty.files });
      const changes = faulty.seen.length;
      for (let at = 0; at < changes; at++) {
        if (!isSampled(at + way, 3)) continue;
        const memory = new MemoryFiles();
        const dying = new FaultyFiles(memory);
        dying.dieAt(at, kind);
        await expect(openTestStore(root, { files: dying.files })).rejects.toMatchObject({ code: 'CWM-4001' });
        endAs(ending, memory, at);
        const store = await openTestStore(root, { files: memory });
        await fill(store);
        expect(await store.messages.load(sessionId('s1'), [messageId('m1')])).toHaveLength(1);
      }
    });
  },
);
