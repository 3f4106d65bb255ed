import type { Clock } from '../../base/clock.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { SessionId, WindowName } from '../../protocol/ids.ts';
import type { ProjectResolution } from '../../protocol/schemas/projectConfig.ts';

/** One session that a client has open. */
export interface OpenSession {
  readonly session: SessionId;
  readonly lastAccess: string;
}

/** Where one client works, and what it has open there. */
export interface SessionContext {
  readonly client: string;
  /** Absolute path or URI, as the client gave it. */
  readonly workingDirectory: string;
  readonly resolution: ProjectResolution;
  /** The project's `strict_mode`. */
  readonly isStrict: boolean;
  /** The session that the client used last, of those that are open. */
  readonly currentSession: SessionId | null;
  /** The window that it was opened from, or saved as, last. */
  readonly currentWindow: WindowName | null;
  /** The first opened first; use does not move them. */
  readonly openSessions: readonly OpenSession[];
  /** ISO 8601, as `lastUsed`. */
  readonly setAt: string;
  readonly lastUsed: string;
}

/** What a client works in. */
export type WorkingPlace = Pick<SessionContext, 'workingDirectory' | 'resolution' | 'isStrict'>;

/** Between two sweeps, in milliseconds. */
const sweepMs = 3_600_000;
/** A client that was unused for longer is forgotten; at exactly this it stays. */
const staleMs = 86_400_000;
/** More open sessions close the one that was used longest ago. */
export const maxOpenSessions = 20;
/** More clients forget the one that was used longest ago and is not live: each run of a command line may be a client. */
const maxClients = 1_000;

interface Entry {
  context: SessionContext;
  /** By the monotonic clock. */
  usedMs: number;
}

/**
 * Where each client of this backend works: editor windows, command lines, agents and programs over TCP, each by the name that it has in
 * requests. It is memory only: a client says again where it works when it meets another backend.
 */
export class SessionContextManager {
  readonly #clock: Clock;
  readonly #isLive: (client: string) => boolean;
  readonly #onFailure: (error: unknown) => void;
  /** The one that was used last comes last. */
  readonly #entries = new Map<string, Entry>();
  #timer: ReturnType<typeof setInterval> | undefined;

  /** @param isLive whether the client is connected now: it is not swept, however long it was silent. */
  constructor(clock: Clock, isLive: (client: string) => boolean, onFailure: (error: unknown) => void) {
    this.#clock = clock;
    this.#isLive = isLive;
    this.#onFailure = onFailure;
  }

  /** Begins the hourly sweep; a second call changes nothing. */
  start(): void {
    this.#timer ??= setInterval(() => this.#sweepSafely(), sweepMs);
    this.#timer.unref?.();
  }

  /** Ends it; a second call changes nothing. The sweep is synchronous, so that none runs behind this call. */
  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  get sessionCount(): number {
    return this.#entries.size;
  }

  /** Remembers where the client works. In another project it has no session open; in the same one its sessions stay. */
  setWorkingDirectory(client: string, place: WorkingPlace): SessionContext {
    const now = this.#clock.now().toISOString();
    const before = this.#entries.get(client)?.context;
    const stays = before?.resolution.project === place.resolution.project ? before : null;
    return this.#put({
      client,
      ...place,
      currentSession: stays?.currentSession ?? null,
      currentWindow: stays?.currentWindow ?? null,
      openSessions: stays?.openSessions ?? [],
      setAt: now,
      lastUsed: now,
    });
  }

  /** Null for a client that never said so; asking makes no record of it. */
  getWorkingDirectory(client: string): string | null {
    return this.use(client)?.workingDirectory ?? null;
  }

  /** The client's record; the call counts as use of it. */
  use(client: string): SessionContext | null {
    const context = this.#entries.get(client)?.context;
    return context ? this.#put({ ...context, lastUsed: this.#clock.now().toISOString() }) : null;
  }

  /** The client's record as it is. */
  peek(client: string): SessionContext | null {
    return this.#entries.get(client)?.context ?? null;
  }

  /** The client that was used last comes first. */
  list(): readonly SessionContext[] {
    return [...this.#entries.values()].map(({ context }) => context).reverse();
  }

  /** The client uses a session of its project. @returns the session that closed in its place, if one did. */
  opened(client: string, session: SessionId, window: WindowName | null): SessionId | null {
    const context = this.peek(client);
    if (!context) return null;
    const now = this.#clock.now().toISOString();
    const isOpen = context.openSessions.some((open) => open.session === session);
    const all = isOpen
      ? context.openSessions.map((open) => (open.session === session ? { ...open, lastAccess: now } : open))
      : [...context.openSessions, { session, lastAccess: now }];
    const closed = all.length > maxOpenSessions ? oldestOf(all.filter((open) => open.session !== session)) : null;
    const currentWindow = window ?? (context.currentSession === session ? context.currentWindow : null);
    this.#put({
      ...context,
      openSessions: all.filter((open) => open.session !== closed),
      currentSession: session,
      currentWindow,
      lastUsed: now,
    });
    return closed;
  }

  /** A session is gone, for every client. Where it was the current one, the one that was used before it is. */
  closed(session: SessionId): void {
    for (const [client, { context, usedMs }] of this.#entries) {
      if (!context.openSessions.some((open) => open.session === session)) continue;
      const openSessions = context.openSessions.filter((open) => open.session !== session);
      const isCurrent = context.currentSession === session;
      const currentSession = isCurrent ? newestOf(openSessions) : context.currentSession;
      const currentWindow = isCurrent ? null : context.currentWindow;
      this.#entries.set(client, { context: { ...context, openSessions, currentSession, currentWindow }, usedMs });
    }
  }

  /** Forgets clients that were unused for more than 24 hours and are not connected. @returns how many. */
  sweep(): number {
    const nowMs = this.#clock.elapsedMs();
    const stale = [...this.#entries].filter(
      ([client, { usedMs }]) => nowMs - usedMs > staleMs && !this.#isLive(client),
    );
    for (const [client] of stale) this.#entries.delete(client);
    return stale.length;
  }

  #sweepSafely(): void {
    try {
      this.sweep();
    } catch (error) {
      this.#onFailure(error);
    }
  }

  #put(context: SessionContext): SessionContext {
    const { client } = context;
    this.#entries.delete(client);
    if (this.#entries.size >= maxClients) this.#forgetOne();
    this.#entries.set(client, { context, usedMs: this.#clock.elapsedMs() });
    return context;
  }

  #forgetOne(): void {
    for (const client of this.#entries.keys()) {
      if (this.#isLive(client)) continue;
      this.#entries.delete(client);
      return;
    }
    throw new CwmError('Exhausted', `The backend serves ${maxClients} clients, which is its limit.`);
  }
}

const newestOf = (open: readonly OpenSession[]): SessionId | null =>
  open.reduce<OpenSession | null>((newest, one) => (newest && newest.lastAccess > one.lastAccess ? newest : one), null)
    ?.session ?? null;

const oldestOf = (open: readonly OpenSession[]): SessionId | null =>
  open.reduce<OpenSession | null>((oldest, one) => (oldest && oldest.lastAccess <= one.lastAccess ? oldest : one), null)
    ?.session ?? null;
