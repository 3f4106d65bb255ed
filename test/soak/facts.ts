/** What is known of token ids: how many, how they end, and once they were seen whole, their SHA-256. Null: not known yet. */
export interface IdsFact {
  readonly count: number | null;
  readonly tail: readonly number[];
  readonly sha256: string | null;
}

/** Texts in their order; null for an answer that was kept and that nobody was told. */
export type Texts = readonly (string | null)[];

export interface SessionFact {
  readonly texts: Texts;
  /** Null: no turn yet. */
  readonly ids: IdsFact | null;
  readonly frozenAs: string | null;
  /** Drafts that it may have. */
  readonly drafts: readonly (string | null)[];
}

export interface WindowFact {
  readonly session: string;
  readonly texts: Texts;
  readonly ids: IdsFact;
  readonly pinned: boolean;
}

/** Everything that is there, or what some of it becomes; null for what is not there. */
export interface Facts {
  readonly sessions: ReadonlyMap<string, SessionFact | null>;
  readonly windows: ReadonlyMap<string, WindowFact | null>;
}

/** What is there, and what was and can be had back. */
export interface Known extends Facts {
  /** Windows in the trash, if it was not emptied. */
  readonly discarded: ReadonlyMap<string, WindowFact>;
}

/** A session as the store has it. */
export interface SeenSession {
  readonly texts: readonly string[];
  readonly ids: readonly number[] | null;
  readonly sha256: string | null;
  readonly frozenAs: string | null;
  readonly draft: string | null;
}

/** A window as the store has it. */
export interface SeenWindow {
  readonly session: string;
  readonly texts: readonly string[];
  readonly ids: readonly number[];
  readonly sha256: string;
  readonly pinned: boolean;
  /** Hashes of the KV blocks whose files its record names. */
  readonly blocks?: readonly string[];
}

/** @returns how what is seen differs from what was acknowledged; null when it does not. */
export function sessionDifference(fact: SessionFact | null, seen: SeenSession | null): string | null {
  if (fact === null || seen === null) return presence(fact, seen);
  if (fact.frozenAs !== seen.frozenAs) return `it is frozen as ${seen.frozenAs}, not as ${fact.frozenAs}`;
  if (!fact.drafts.includes(seen.draft)) return `its draft is ${quote(seen.draft)}, not ${quote(fact.drafts)}`;
  if ((fact.ids === null) !== (seen.ids === null)) return `it has ${seen.ids === null ? 'no' : 'suddenly'} token ids`;
  return (
    textsDifference(fact.texts, seen.texts) ??
    (fact.ids && seen.ids ? idsDifference(fact.ids, seen.ids, seen.sha256) : null)
  );
}

export function windowDifference(fact: WindowFact | null, seen: SeenWindow | null): string | null {
  if (fact === null || seen === null) return presence(fact, seen);
  if (fact.session !== seen.session) return `it is of session ${seen.session}, not of ${fact.session}`;
  if (fact.pinned !== seen.pinned) return `it is ${seen.pinned ? '' : 'not '}pinned`;
  return textsDifference(fact.texts, seen.texts) ?? idsDifference(fact.ids, seen.ids, seen.sha256);
}

/** The fact, with what was seen filled in where it was not known. */
export const learntSession = (seen: SeenSession): SessionFact => ({
  texts: seen.texts,
  ids: seen.ids && learntIds(seen.ids, seen.sha256),
  frozenAs: seen.frozenAs,
  drafts: [seen.draft],
});

export const learntWindow = (seen: SeenWindow): WindowFact => ({
  session: seen.session,
  texts: seen.texts,
  ids: learntIds(seen.ids, seen.sha256),
  pinned: seen.pinned,
});

const learntIds = (ids: readonly number[], sha256: string | null): IdsFact => ({
  count: ids.length,
  tail: ids.slice(-4),
  sha256,
});

const presence = (fact: object | null, seen: object | null): string | null =>
  fact === null && seen === null ? null : seen === null ? 'it is not there' : 'it is there';

function textsDifference(told: Texts, seen: readonly string[]): string | null {
  if (told.length !== seen.length) return `it has ${seen.length} messages, not ${told.length}`;
  const at = told.findIndex((text, index) => text !== null && text !== seen[index]);
  return at === -1 ? null : `message ${at + 1} is ${quote(seen[at])}, not ${quote(told[at])}`;
}

function idsDifference(told: IdsFact, seen: readonly number[], sha256: string | null): string | null {
  if (told.count !== null && told.count !== seen.length) return `it has ${seen.length} token ids, not ${told.count}`;
  const tail = seen.slice(seen.length - told.tail.length);
  if (tail.join() !== told.tail.join()) return `its token ids end with ${tail.join()}, not with ${told.tail.join()}`;
  if (told.sha256 !== null && told.sha256 !== sha256) return 'it has other token ids than before';
  return null;
}

const quote = (value: unknown): string => JSON.stringify(value);
