import { outputOf, type Request } from './request.ts';
import type { Facts, IdsFact, Known, SessionFact, WindowFact } from './facts.ts';

const nothing: Facts = { sessions: new Map(), windows: new Map() };
const unknownIds: IdsFact = { count: null, tail: [], sha256: null };

/**
 * What a request that is carried out makes of what it touches, and only that.
 *
 * @param output its answer; undefined when nobody heard it.
 */
export function effectOf(request: Request, facts: Known, output?: unknown): Facts {
  const { name, input } = request;
  switch (name) {
    case 'createSession':
      return session(String(input.id), { texts: [], ids: null, frozenAs: null, drafts: [null] });
    case 'send': {
      const before = facts.sessions.get(input.session);
      if (!before) return nothing;
      const answer = output === undefined ? null : outputOf('send', output);
      const ids = answer
        ? { count: answer.promptTokens + answer.outputIds.length, tail: answer.outputIds, sha256: null }
        : unknownIds;
      return session(input.session, {
        ...before,
        texts: [...before.texts, input.text, answer?.text ?? null],
        ids,
        drafts: [null],
      });
    }
    case 'freeze': {
      const before = facts.sessions.get(input.session);
      if (!before?.ids) return nothing;
      const made = { session: input.session, texts: before.texts, ids: before.ids, pinned: false };
      const frozen = input.checkpoint ? [] : ([[input.session, { ...before, frozenAs: input.window }]] as const);
      return { sessions: new Map(frozen), windows: new Map([[input.window, made]]) };
    }
    case 'thaw': {
      const window = facts.windows.get(input.window);
      if (!window) return nothing;
      const resumed = input.resume ? facts.sessions.get(window.session) : null;
      if (resumed) return session(window.session, { ...resumed, frozenAs: null });
      return session(String(input.session), { texts: window.texts, ids: window.ids, frozenAs: null, drafts: [null] });
    }
    case 'clone': {
      const source = facts.windows.get(input.window);
      return source ? window(input.target, { ...source, pinned: false }) : nothing;
    }
    case 'pinWindow': {
      const before = facts.windows.get(input.window);
      return before ? window(input.window, { ...before, pinned: input.pinned }) : nothing;
    }
    case 'restoreFromTrash': {
      const name = windowOfTrash(input.item);
      const before = facts.discarded.get(name);
      return before ? window(name, before) : nothing;
    }
    case 'deleteWindow':
      return window(input.window, null);
    case 'deleteSession': {
      const windows = [...facts.windows].filter(([, fact]) => fact?.session === input.session);
      return {
        sessions: new Map([[input.session, null]]),
        windows: new Map(windows.map(([window]) => [window, null])),
      };
    }
    case 'prune': {
      const gone = output === undefined ? [] : outputOf('prune', output).windows;
      return { sessions: new Map(), windows: new Map(gone.map(({ name }) => [name, null])) };
    }
    default:
      return nothing;
  }
}

/** Name of the window that an item of the trash was. */
export const windowOfTrash = (item: string): string => item.replace(/^.*?-window-/, '').replace(/\.\d+$/, '');

const session = (id: string, fact: SessionFact | null): Facts => ({
  sessions: new Map([[id, fact]]),
  windows: new Map(),
});

const window = (name: string, fact: WindowFact | null): Facts => ({
  sessions: new Map(),
  windows: new Map([[name, fact]]),
});
