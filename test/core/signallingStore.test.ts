import { describe, expect, test } from 'vitest';
import { effects, signallingStore } from '../../src/core/signallingStore.ts';
import type { StateStore } from '../../src/core/ports/states.ts';
import type { Store } from '../../src/core/ports/store.ts';
import type { Change } from '../../src/protocol/signals.ts';
import { aManifest, aPoint, aReceipt, aSession, aKvRecord } from '../store/builders.ts';
import { coreFixture, never, savedWindow, type CoreFixture } from './coreFixture.ts';

type Method = Exclude<keyof Store, 'states'>;

/** What the store answers in these tests, by method. */
const answers: Partial<Record<string, unknown>> = {
  restore: { id: 't', kind: 'window', name: 'w' },
  activeSessions: ['s1'],
  addRecoveryPoint: aPoint('p1'),
};

function tested(failing = false) {
  const heard: Change[] = [];
  const called: string[] = [];
  const answering = (own: Partial<Store>): object =>
    new Proxy(own, {
      get: (_, name: string) =>
        name in own
          ? own[name as keyof Store]
          : async () => {
              called.push(name);
              if (failing) throw new Error('The disk is full.');
              // Told before it is stored, a client could fetch the old record.
              expect(heard).toEqual([]);
              return answers[name];
            },
    });
  const store = answering({ states: answering({}) as StateStore }) as Store;
  return { heard, called, store: signallingStore(store, { emit: (change) => heard.push(change) }) };
}

const window = { type: 'window', window: 'w' } as const;
const session = { type: 'session', session: 's1' } as const;
const state = { type: 'state', session: 's1' } as const;

/** Every method that writes what a client can see: what it is given, and which signals follow. */
const writing: readonly (readonly [Method, readonly unknown[], readonly Change[]])[] = [
  ['createSession', [aSession({ version: 1 })], [{ ...session, version: 1 }]],
  ['updateSession', [aSession({ version: 7 })], [{ ...session, version: 7 }]],
  ['deleteSession', ['s1'], [session]],
  ['createWindow', [aManifest({ name: 'w' }), [], aKvRecord()], [window]],
  ['replaceWindowKv', ['w', aKvRecord()], [window]],
  ['appendReceipt', ['w', aReceipt()], [window]],
  ['setPinned', ['w', true], [window]],
  ['deleteWindow', ['w'], [window]],
  ['setActiveSession', ['file:///p', 's1'], [{ type: 'project', project: 'file:///p' }]],
  ['restore', ['t'], [window]],
  ['repair', ['embedded', never()], [{ type: 'resync' }]],
];

describe('signals of the store', () => {
  test.each(writing)('S4-40 %s is told once it is stored', async (name, given, expected) => {
    const { store, heard, called } = tested();
    await (store[name] as (...given: readonly unknown[]) => Promise<unknown>)(...given);
    expect(called).toEqual([name]);
    expect(heard).toEqual(expected);
  });

  test.each(writing)('S4-40 %s that fails is not told', async (name, given) => {
    const { store, heard } = tested(true);
    await expect((store[name] as (...given: readonly unknown[]) => Promise<unknown>)(...given)).rejects.toThrow('full');
    expect(heard).toEqual([]);
  });

  test('S4-40 no method that writes is missing: the others read, or write what no client sees yet', () => {
    const told = writing.map(([name]) => name);
    const others = Object.entries(effects).filter(([name]) => !told.includes(name as Method));
    expect(others.filter(([, effect]) => typeof effect === 'function')).toEqual([]);
    expect(others.filter(([, effect]) => effect === 'unseen').map(([name]) => name)).toEqual([
      'appendMessages',
      'saveTokens',
      'createLineage',
      'advanceLineage',
      'emptyTrash',
    ]);
    const verbs =
      /^(?:create|update|delete|append|save|replace|set|add|advance|restore|empty|repair|move|put|remove|write)/;
    expect(others.filter(([name, effect]) => effect === 'reads' && verbs.test(name))).toEqual([]);
  });

  test("S4-40 a change of a session's state sends a signal, and going back also one for the session", async () => {
    const restored = aSession({ version: 3 });
    const cases: [(states: StateStore) => Promise<unknown>, Change[]][] = [
      [(states) => states.save('s1' as never, {} as never, 0), [state]],
      [(states) => states.addRecoveryPoint(aPoint('p1')), [state]],
      [(states) => states.restore(restored, null, null), [{ ...session, version: 3 }, state]],
      [(states) => states.setActiveSessions(['s2'] as never), [state, { ...state, session: 's2' }]],
    ];
    for (const [write, expected] of cases) {
      const { store, heard } = tested();
      await write(store.states);
      expect(heard).toEqual(expected);
    }
  });
});

describe('signals of operations', () => {
  const project = 'file:///home/me/project';

  async function heardOf(fixture: CoreFixture, act: (fixture: CoreFixture) => Promise<unknown>): Promise<Change[]> {
    fixture.heard.length = 0;
    await act(fixture);
    return fixture.heard.filter(({ type }) => type === 'session' || type === 'window' || type === 'project');
  }

  test("S2-16 every change of a project's current session sends a signal: creating, thawing, choosing and deleting one", async () => {
    const fixture = await coreFixture();
    const told = { type: 'project', project };
    expect(await heardOf(fixture, ({ cwm }) => cwm.createSession({ id: 'a', project }))).toContainEqual(told);
    await fixture.cwm.send({ session: 'a', text: 'What is a prefix cache?' }, never());
    await fixture.cwm.freeze({ session: 'a', window: 'w', checkpoint: true }, never());
    expect(await heardOf(fixture, ({ cwm }) => cwm.thaw({ window: 'w', session: 'b' }, never()))).toContainEqual(told);
    expect(await heardOf(fixture, ({ cwm }) => cwm.activateSession({ project, session: 'a' }))).toEqual([told]);
    expect(await heardOf(fixture, ({ cwm }) => cwm.activateSession({ project, session: 'b' }))).toEqual([told]);
    expect(await heardOf(fixture, ({ cwm }) => cwm.deleteSession({ session: 'b' }, never()))).toContainEqual(told);
  });

  test('S4-40 the signal of a session has the version of its record', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    const heard = await heardOf(fixture, ({ cwm }) => cwm.send({ session: 's', text: 'And then?' }, never()));
    const { version } = await fixture.cwm.getSession({ session: 's' });
    expect(heard).toEqual([
      { type: 'session', session: 's', version: version - 1 },
      { type: 'session', session: 's', version },
    ]);
  });
});
