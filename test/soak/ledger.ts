import { effectOf } from './effect.ts';
import {
  learntSession,
  learntWindow,
  sessionDifference,
  windowDifference,
  type Facts,
  type Known,
  type SeenSession,
  type SeenWindow,
  type SessionFact,
  type WindowFact,
} from './facts.ts';
import type { Outcome, Request } from './request.ts';

/** What a store that was opened after a kill holds. */
export interface SeenStore {
  readonly sessions: ReadonlyMap<string, SeenSession>;
  readonly windows: ReadonlyMap<string, SeenWindow>;
}

/** What the clients were told, and what nobody knows yet. */
export class Ledger implements Known {
  readonly sessions = new Map<string, SessionFact>();
  readonly windows = new Map<string, WindowFact>();
  readonly discarded = new Map<string, WindowFact>();
  /** Sessions and windows that a request touches whose answer nobody heard: left alone until it is settled. */
  readonly uncertain = new Set<string>();
  /** Requests whose answer nobody heard. */
  readonly #unknown: Request[] = [];
  /** Windows that requests under way start from: another client may delete one before the answer is there. */
  readonly #sources = new WeakMap<Request, [string, WindowFact][]>();
  /** A prune began since the last settlement: any window that is not pinned may have gone. */
  #mayBePruned = false;

  begin(request: Request): void {
    const { name, input } = request;
    if (name === 'prune') this.#mayBePruned = true;
    if (name !== 'thaw' && name !== 'clone') return;
    const source = this.windows.get(input.window);
    if (source) this.#sources.set(request, [[input.window, source]]);
  }

  end(request: Request, outcome: Outcome): void {
    if (outcome.kind === 'unknown') {
      this.#unknown.push(request);
      this.#noteDraft(request);
      const { sessions, windows } = effectOf(request, this.#knownTo(request));
      for (const key of [...sessions.keys(), ...windows.keys()]) this.uncertain.add(key);
      if ('session' in request.input && request.input.session) this.uncertain.add(request.input.session);
    }
    if (outcome.kind !== 'done') return;
    this.#take(effectOf(request, this.#knownTo(request), outcome.output));
  }

  /**
   * Holds what is there against what was acknowledged, and takes over what it shows of what nobody knew.
   *
   * @returns what is wrong, in words; empty when nothing is.
   */
  settle(seen: SeenStore): string[] {
    for (const request of this.#unknown.splice(0)) this.#decide(request, seen);
    if (this.#mayBePruned) {
      for (const [name, { pinned }] of this.windows) {
        const mayGo = !pinned || this.uncertain.has(name);
        if (mayGo && !seen.windows.has(name)) this.windows.delete(name);
      }
    }
    this.#mayBePruned = false;
    this.uncertain.clear();
    const problems = [
      ...differences('session', this.sessions, seen.sessions, sessionDifference),
      ...differences('window', this.windows, seen.windows, windowDifference),
    ];
    for (const [id, session] of seen.sessions) this.sessions.set(id, learntSession(session));
    for (const [name, window] of seen.windows) this.windows.set(name, learntWindow(window));
    return problems;
  }

  #knownTo(request: Request): Known {
    const { sessions, windows, discarded } = this;
    return { sessions, windows: new Map([...windows, ...(this.#sources.get(request) ?? [])]), discarded };
  }

  /** Whether it was done: then all it touches is as it makes it. If not, all is as before, which is looked at later. */
  #decide(request: Request, seen: SeenStore): void {
    const { sessions, windows } = effectOf(request, this.#knownTo(request));
    // Windows first, one after another, then their session: the one operation that may stop half way, and says so.
    if (request.name === 'deleteSession') {
      for (const name of windows.keys()) if (!seen.windows.has(name)) this.windows.delete(name);
      const left = [...this.windows.values()].some(({ session }) => session === request.input.session);
      if (!left && !seen.sessions.has(request.input.session)) this.sessions.delete(request.input.session);
      return;
    }
    const isDone =
      [...sessions].every(([id, fact]) => sessionDifference(fact, seen.sessions.get(id) ?? null) === null) &&
      [...windows].every(([name, fact]) => windowDifference(fact, seen.windows.get(name) ?? null) === null);
    if (isDone) this.#take({ sessions, windows });
  }

  #take({ sessions, windows }: Facts): void {
    for (const [id, fact] of sessions) put(this.sessions, id, fact);
    for (const [name, fact] of windows) {
      const before = this.windows.get(name);
      if (fact === null && before) this.discarded.set(name, before);
      if (fact !== null) this.discarded.delete(name);
      put(this.windows, name, fact);
    }
  }

  /** The text of a turn that was not answered may be its session's draft. */
  #noteDraft({ name, input }: Request): void {
    const session = name === 'send' ? this.sessions.get(input.session) : undefined;
    if (name !== 'send' || !session) return;
    this.sessions.set(input.session, { ...session, drafts: [...session.drafts, input.text] });
  }
}

function put<Fact>(facts: Map<string, Fact>, key: string, fact: Fact | null): void {
  if (fact === null) facts.delete(key);
  else facts.set(key, fact);
}

function differences<Fact, Seen>(
  what: string,
  facts: ReadonlyMap<string, Fact>,
  seen: ReadonlyMap<string, Seen>,
  difference: (fact: Fact | null, seen: Seen | null) => string | null,
): string[] {
  return [...new Set([...facts.keys(), ...seen.keys()])].flatMap((key) => {
    const found = difference(facts.get(key) ?? null, seen.get(key) ?? null);
    return found === null ? [] : [`${what} ${key}: ${found}`];
  });
}
