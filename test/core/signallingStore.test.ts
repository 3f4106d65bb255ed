import { describe, expect, test } from 'vitest';
import { effects, signallingStore } from '../../src/core/signallingStore.ts';
import type { Store } from '../../src/core/ports/store.ts';
import type { Change } from '../../src/protocol/signals.ts';
import { aManifest, aPoint, aReceipt, aSession, aKvRecord } from '../store/builders.ts';
import { coreFixture, never, savedWindow, type CoreFixture } from './coreFixture.ts';

/** What the store answers in these tests, by method. */
const answers: Readonly<Record<string, unknown>> = {
  'trash.restore': { id: 't', kind: 'window', name: 'w' },
  'states.setSelectedSessions': ['s1'],
};

type Method = (...given: readonly unknown[]) => Promise<unknown>;
/** A method of a part by its path, like `sessions.create`. */
const methodAt = (store: Store, path: string): Method => {
  const [part, name] = path.split('.') as [keyof Store, string];
  return (store[part] as unknown as Record<string, Method>)[name]!;
};

function tested(failing = false) {
  const heard: Change[] = [];
  const called: string[] = [];
  const part = (of: string): object =>
    new Proxy(
      {},
      {
        get: (_, name: string) => async () => {
          const path = `${of}.${name}`;
          called.push(path);
          if (failing) throw new Error('The disk is full.');
          // Told before it is stored, a client could fetch the old record.
          expect(heard).toEqual([]);
          return answers[path];
        },
      },
    );
  const store = Object.fromEntries(Object.keys(effects).map((name) => [name, part(name)])) as unknown as Store;
  return { heard, called, store: signallingStore(store, { emit: (change) => heard.push(change) }) };
}

const window = { type: 'window', window: 'w' } as const;
const session = { type: 'session', session: 's1' } as const;
const state = { type: 'state', session: 's1' } as const;

/** Every method that writes what a client can see: what it is given, and which signals follow. */
const writing: readonly (readonly [string, readonly unknown[], readonly Change[]])[] = [
  ['sessions.create', [aSession({ version: 1 })], [{ ...session, version: 1, phase: 'Idle' }]],
  ['sessions.update', [aSession({ version: 7 })], [{ ...session, version: 7, phase: 'Idle' }]],
  ['sessions.delete', ['s1'], [session]],
  ['windows.create', [aManifest({ name: 'w' }), [], aKvRecord()], [window]],
  ['windows.replaceKv', ['w', aKvRecord()], [window]],
  ['windows.setPinned', ['w', true], [window]],
  ['windows.delete', ['w'], [window]],
  ['receipts.append', ['w', aReceipt()], [window]],
  ['projects.setCurrentSession', ['file:///p', 's1'], [{ type: 'project', project: 'file:///p' }]],
  ['projects.switchBranch', ['file:///p', 'main'], [{ type: 'project', project: 'file:///p' }]],
  ['projects.setBase', ['file:///p', null], [{ type: 'project', project: 'file:///p' }]],
  ['projects.forget', ['file:///p'], [{ type: 'project', project: 'file:///p' }]],
  ['projects.setRecorded', ['file:///p', false], [{ type: 'project', project: 'file:///p' }]],
  ['projects.setTrusted', ['file:///p', true], [{ type: 'project', project: 'file:///p' }]],
  ['states.save', ['s1', {}, 0], [state]],
  ['states.addRecoveryPoint', [aPoint('p1')], [state]],
  // A restore is a change of the session too.
  ['states.restore', [aSession({ version: 3 }), null, null], [{ ...session, version: 3, phase: 'Idle' }, state]],
  // Those that were selected before, and those that are now.
  ['states.setSelectedSessions', [['s2', 's1']], [state, { ...state, session: 's2' }]],
  ['trash.restore', ['t'], [window]],
  ['check.repair', ['embedded', never()], [{ type: 'resync' }]],
];

describe('signals of the store', () => {
  test.each(writing)('S4-40 %s is told once it is stored', async (path, given, expected) => {
    const { store, heard, called } = tested();
    await methodAt(store, path)(...given);
    expect(called).toEqual([path]);
    expect(heard).toEqual(expected);
  });

  test.each(writing)('S4-40 %s that fails is not told', async (path, given) => {
    const { store, heard } = tested(true);
    await expect(methodAt(store, path)(...given)).rejects.toThrow('full');
    expect(heard).toEqual([]);
  });

  test('S4-40 no method that writes is missing: the others read, or write what no client sees yet', () => {
    const told = writing.map(([path]) => path);
    const others = Object.entries(effects)
      .flatMap(([part, methods]) =>
        Object.entries(methods).map(([name, effect]) => [`${part}.${name}`, effect] as const),
      )
      .filter(([path]) => !told.includes(path));
    expect(others.filter(([, effect]) => typeof effect === 'function')).toEqual([]);
    expect(others.filter(([, effect]) => effect === 'unseen').map(([path]) => path)).toEqual([
      'sessions.saveTokens',
      'messages.append',
      'memory.append',
      'memory.changeNotes',
      'answers.append',
      'answers.ended',
      'checkpoints.put',
      'checkpoints.delete',
      'lineages.create',
      'lineages.advance',
      'lineages.markImported',
      'projects.note',
      'prompts.put',
      'prompts.delete',
      'trash.removeSession',
      'trash.empty',
    ]);
    const verbs =
      /\.(?:create|update|delete|append|save|replace|set|add|advance|restore|empty|repair|move|put|remove|write)/;
    expect(others.filter(([path, effect]) => effect === 'reads' && verbs.test(path))).toEqual([]);
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
    expect(await heardOf(fixture, ({ cwm }) => cwm.setCurrentSession({ project, session: 'a' }))).toEqual([told]);
    expect(await heardOf(fixture, ({ cwm }) => cwm.setCurrentSession({ project, session: 'b' }))).toEqual([told]);
    expect(await heardOf(fixture, ({ cwm }) => cwm.deleteSession({ session: 'b' }, never()))).toContainEqual(told);
  });

  test('S4-40 the signal of a session has the version of its record, and its phase', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    const heard = await heardOf(fixture, ({ cwm }) => cwm.send({ session: 's', text: 'And then?' }, never()));
    const { version } = await fixture.cwm.getSession({ session: 's' });
    const answering = ['AwaitingLLMResponse', 'StreamingLLMResponse', 'ProcessingLLMResponse'];
    expect(heard).toEqual([
      // Before the message is stored.
      { type: 'session', session: 's', version: version - 2, phase: 'ProcessingUserMessage' },
      ...answering.map((phase) => ({ type: 'session', session: 's', version: version - 1, phase })),
      { type: 'session', session: 's', version, phase: 'Idle' },
    ]);
  });
});
