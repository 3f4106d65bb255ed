import { CwmError } from '../../src/protocol/errors.ts';
import { collect } from '../../src/core/space/collect.ts';
import { project, type World } from './crashWorld.ts';
import { sessionId } from '../support/ids.ts';
import { FakeClock } from './testStore.ts';

export interface CrashOperation {
  readonly run: (world: World) => Promise<unknown>;
  /**
   * How many states a crash may leave, the one before and the one after included. Two: it is done or not done. More only where
   * it does several things one after another, each of which is done or not done.
   */
  readonly states: number;
  /** It ends with a refusal, also where all is well: a write that fails cannot be told from that. */
  readonly isRefusal?: true;
}

/** What users do, on the world of `filledFiles`. */
export const crashOperations: Readonly<Record<string, CrashOperation>> = {
  // The project's active session comes after the session.
  'create a session': { run: ({ cwm }) => cwm.createSession({ id: 'n', project }), states: 3 },
  // The words are a draft until the answer is there.
  'send a message': { run: ({ cwm, signal }) => cwm.send({ session: 's', text: 'One more?' }, signal), states: 3 },
  // The words are a draft until what came of the answer is there.
  'stop an answer': { run: stoppedAnswer, states: 3, isRefusal: true },
  // The draft, the first part of the answer, then two parts: what comes after a part is on the disk only with the whole.
  'send a message with a long answer': { run: longAnswer, states: 5 },
  'give files': { run: ({ cwm, signal }) => cwm.prime({ session: 's', paths: ['a.ts'] }, signal), states: 2 },
  'set an expiry': {
    run: ({ cwm }) => cwm.setExpiry({ session: 's', expiresAt: '2100-01-01T00:00:00.000Z' }),
    states: 2,
  },
  'change the settings of a session': {
    run: ({ cwm }) => cwm.updateSession({ session: 's', title: 'Ice', mode: 'plan' }),
    states: 2,
  },
  'store a system prompt': { run: ({ cwm }) => cwm.putPrompt({ prompt: 'terse', text: 'Be brief.' }), states: 1 },
  'make a branch': {
    run: async ({ cwm }) => {
      const { items } = await cwm.listMessages({ session: 's' });
      return cwm.createBranch({ session: 's', name: 'n', at: items[1]!.id });
    },
    states: 2,
  },
  'switch to another branch': { run: ({ cwm }) => cwm.updateBranch({ session: 's', branch: 'side' }), states: 2 },
  'rename a branch': {
    run: ({ cwm }) => cwm.updateBranch({ session: 's', branch: 'side', rename: 'n' }),
    states: 2,
  },
  'delete a branch': { run: ({ cwm }) => cwm.deleteBranch({ session: 's', branch: 'side' }), states: 2 },
  'merge a branch': {
    run: ({ cwm }) => cwm.mergeBranch({ session: 's', branch: 'side', how: 'append' }),
    states: 2,
  },
  'roll back': {
    run: async ({ cwm }) => {
      const { items } = await cwm.listMessages({ session: 's' });
      return cwm.rollBack({ session: 's', message: items[1]!.id });
    },
    states: 2,
  },
  // The branch with the draft, then the answer.
  'send an edited message': {
    run: async ({ cwm, signal }) => {
      const message = (await ownOfMain(cwm)).at(-2)!;
      return cwm.editMessage({ session: 's', message, text: 'Other?', branch: 'n' }, signal);
    },
    states: 3,
  },
  'generate another answer': {
    run: async ({ cwm, signal }) => {
      const message = (await ownOfMain(cwm)).at(-1)!;
      return cwm.regenerate({ session: 's', message, branch: 'n' }, signal);
    },
    states: 3,
  },
  'update a state': {
    run: ({ cwm }) => cwm.updateState({ session: 's', version: 2, data: { goal: 'water' } }),
    states: 2,
  },
  'make a recovery point': { run: ({ cwm }) => cwm.createRecoveryPoint({ session: 's' }), states: 1 },
  // State, branch and token ids at once.
  'go back to a recovery point': {
    run: async ({ cwm, signal }) => {
      const { items } = await cwm.listRecoveryPoints({ session: 's' });
      return cwm.restoreRecoveryPoint({ session: 's', id: items.at(-1)!.id }, signal);
    },
    states: 2,
  },
  freeze: { run: ({ cwm, signal }) => cwm.freeze({ session: 's', window: 'n' }, signal), states: 2 },
  checkpoint: {
    run: ({ cwm, signal }) => cwm.freeze({ session: 's', window: 'n', checkpoint: true }, signal),
    states: 2,
  },
  // First the session continues, then it is its folder's current one.
  'thaw into a copy': { run: ({ cwm, signal }) => cwm.thaw({ window: 'w', session: 'n' }, signal), states: 3 },
  'thaw and resume': { run: ({ cwm, signal }) => cwm.thaw({ window: 'fw', resume: true }, signal), states: 3 },
  'thaw onto a branch': { run: ({ cwm, signal }) => cwm.thaw({ window: 'w' }, signal), states: 3 },
  clone: { run: ({ cwm, signal }) => cwm.clone({ window: 'w', target: 'n' }, signal), states: 2 },
  'pin a window': { run: ({ cwm }) => cwm.pinWindow({ window: 'w', pinned: true }), states: 2 },
  'unpin a window': { run: ({ cwm }) => cwm.pinWindow({ window: 'p', pinned: false }), states: 2 },
  'delete a window': { run: ({ cwm, signal }) => cwm.deleteWindow({ window: 'w' }, signal), states: 2 },
  // Its three windows first, one after another.
  'delete a session with its windows': {
    run: ({ cwm, signal }) => cwm.deleteSession({ session: 's', cascade: true }, signal),
    states: 5,
  },
  'restore a window': { run: ({ cwm }) => restore(cwm, 'window'), states: 2 },
  'restore a session': { run: ({ cwm }) => restore(cwm, 'session'), states: 2 },
  'empty the trash': { run: ({ cwm }) => cwm.emptyTrash({ all: true }), states: 3 },
  // Three windows are not pinned.
  prune: { run: ({ cwm, signal }) => cwm.prune({ keep: 0 }, signal), states: 4 },
  // KV is no record: nothing of what is looked at changes.
  'enforce the KV budget': { run: ({ space, signal }) => collect(space, new FakeClock(), signal), states: 1 },
};

/** An answer of which two batches go to the log, one after the other. */
async function longAnswer({ cwm, store, engine, signal }: World): Promise<unknown> {
  engine.answer = 'word '.repeat(1000);
  engine.breaksAfter = { words: 600, by: async () => void (await store.answers.left(sessionId('s'))) };
  return cwm.send({ session: 's', text: 'And all of it?' }, signal);
}

async function stoppedAnswer({ cwm, engine }: World): Promise<void> {
  const user = new AbortController();
  engine.answer = 'One word. Two words.';
  engine.breaksAfter = {
    words: 2,
    by: async (signal) => {
      user.abort(new CwmError('Cancelled', 'The user stopped it.'));
      signal.throwIfAborted();
    },
  };
  await cwm.send({ session: 's', text: 'Is it long?' }, user.signal).catch(() => undefined);
}

/** Messages that `main` alone has, whichever branch is active. */
const ownOfMain = async (cwm: World['cwm']): Promise<readonly string[]> =>
  (await cwm.compareBranches({ session: 's', branch: 'main', with: 'side' })).one.messages;

async function restore(cwm: World['cwm'], kind: 'window' | 'session'): Promise<unknown> {
  const { items } = await cwm.listTrash();
  return cwm.restoreFromTrash({ item: items.find((item) => item.kind === kind)!.id });
}
