import type { Change } from '../../protocol/signals.ts';
import type { CwmError } from '../../protocol/errors.ts';
import { nullOn, toCwmError } from '../../protocol/errors.ts';
import type { RouteInput, RouteOutput } from '../../protocol/api.ts';
import { parseProjectUri, type ProjectUri } from '../../protocol/ids.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import type { BackendConnection } from '../connection/backendConnection.ts';
import { LatestOnly } from './latestOnly.ts';
import type { EngineState, Listing, ProjectRow, State, ViewState } from '../state.ts';

/** Rows of one page of the tree. */
export const pageSize = 100;

/**
 * Brings what the views show from the backend into the state. Signals only say what changed; this fetches it. It never starts a
 * backend: while none is connected, the views stay as they are.
 */
export class Puller {
  readonly #connection: BackendConnection;
  readonly #state: ViewState;
  readonly #engineSpec: () => string | null;
  readonly #onError: (error: CwmError) => void;
  readonly #jobs = new LatestOnly();
  readonly #following = new Set<Promise<void>>();
  /** Rows to fetch, by session id; the sessions themselves under '', those of a project under `project URI`. More than a page once the user asked for more. */
  readonly #wanted = new Map<string, number>();

  constructor(
    connection: BackendConnection,
    state: ViewState,
    engineSpec: () => string | null,
    onError: (error: CwmError) => void,
  ) {
    this.#connection = connection;
    this.#state = state;
    this.#engineSpec = engineSpec;
    this.#onError = onError;
  }

  /** Fetches everything that the views show. Never rejects: after a failure, which is reported, the views stay as they are. */
  async all(): Promise<void> {
    const opened = [...this.#state.current.windows.keys()];
    await Promise.all([this.currentSession(), this.sessions(), this.engine(), ...opened.map((id) => this.windows(id))]);
    await Promise.all(opened.map((id) => this.branches(id)));
  }

  /** Fetches what a signal names, if a view shows it. */
  follow(change: Change): Promise<void> {
    const work = this.#follow(change);
    this.#following.add(work);
    return work.finally(() => this.#following.delete(work));
  }

  /** Resolves when the state has what all signals so far name. */
  async settled(): Promise<void> {
    while (this.#following.size > 0) await Promise.allSettled(this.#following);
  }

  async #follow(change: Change): Promise<void> {
    const { project, windows } = this.#state.current;
    switch (change.type) {
      case 'resync':
        return this.all();
      case 'session':
        return this.#session(change.session, change.version);
      case 'project':
        if (project.kind === 'folder' && project.uri === change.project) await this.currentSession();
        if (this.#state.current.projects !== null) await this.sessions();
        return;
      case 'window': {
        await Promise.all([...windows.keys()].map((id) => this.windows(id)));
        return;
      }
      case 'engine':
        return this.engine();
      case 'state':
      case 'client':
      case 'heartbeat':
        return;
    }
  }

  sessions(): Promise<void> {
    return this.#pull('sessions', async () => {
      const asked = this.#state.current;
      const found = isGrouped(asked) ? await this.#grouped(asked) : await this.#flat(asked);
      const { currentSession, scope, filter } = this.#state.current;
      // The user chose other rows while the backend answered. Then the next pull is on its way.
      if (scope !== asked.scope || filter !== asked.filter) return;
      const fresh = currentSession.kind === 'session' ? find(found.sessions, currentSession.session.id) : undefined;
      this.#state.update({ ...found, ...(fresh && { currentSession: { kind: 'session', session: fresh } }) });
    });
  }

  async #flat(state: State): Promise<Pick<State, 'sessions' | 'projects' | 'ofProjects'>> {
    return { sessions: await this.#sessionPages('', rowsOf(state)), projects: null, ofProjects: new Map() };
  }

  async #grouped({ project, ofProjects }: State): Promise<Pick<State, 'sessions' | 'projects' | 'ofProjects'>> {
    const { items, withoutProject = 0 } = await this.#connection.call('listProjects', {});
    const projects = projectRows(items, withoutProject, project.kind === 'folder' ? project : null);
    const opened = projects.flatMap(({ uri }) => (ofProjects.has(uri) ? [uri] : []));
    const listings = await Promise.all(opened.map(async (uri) => [uri, await this.#ofProject(uri)] as const));
    return { sessions: together(listings.map(([, listing]) => listing)), projects, ofProjects: new Map(listings) };
  }

  #ofProject(uri: ProjectUri | null): Promise<Listing<Session>> {
    return this.#sessionPages(`project ${uri ?? ''}`, uri === null ? { withoutProject: true } : { project: uri });
  }

  /** Fetches the sessions of a project whose row the user opened. */
  project(uri: ProjectUri | null): Promise<void> {
    const { projects, ofProjects } = this.#state.current;
    if (projects !== null) this.#state.update({ ofProjects: asked(ofProjects, uri) });
    return this.#pull(`project ${uri ?? ''}`, async () => {
      const listing = await this.#ofProject(uri);
      if (this.#state.current.projects === null) return;
      const ofProjects = new Map(this.#state.current.ofProjects).set(uri, listing);
      this.#state.update({ ofProjects, sessions: together([...ofProjects.values()]) });
    });
  }

  #sessionPages(key: string, filter: RouteInput<'listSessions'>): Promise<Listing<Session>> {
    const fetch = (page: { limit: number; offset: number }) =>
      this.#connection.call('listSessions', { ...filter, ...page });
    return this.#pages(key, fetch, ({ id }) => id);
  }

  /** The list usually has the current session too. Then this is one request; none when the state has the record already. */
  async #session(id: string, version: number | undefined): Promise<void> {
    const has = (session: Session | undefined): boolean =>
      session !== undefined && version !== undefined && session.version >= version;
    const isShown = (): boolean => {
      const { currentSession } = this.#state.current;
      return currentSession.kind !== 'session' || currentSession.session.id !== id || has(currentSession.session);
    };
    if (!has(find(this.#state.current.sessions, id))) await this.sessions();
    if (!isShown()) await this.currentSession();
    const windows = this.#state.current.windows.get(id);
    if (windows?.kind === 'unknown') await this.windows(id);
    if (windows) await this.branches(id);
  }

  windows(session: string): Promise<void> {
    this.#state.update({ windows: asked(this.#state.current.windows, session) });
    return this.#pull(`windows ${session}`, async () => {
      const windows = await this.#pages(
        session,
        (page) => this.#connection.call('listWindows', { session, ...page }),
        ({ name }) => name,
      );
      this.#state.update({ windows: new Map(this.#state.current.windows).set(session, windows) });
    });
  }

  /** Fetches the branches of a session that has several. While a turn runs, they stay as they were. */
  async branches(id: string): Promise<void> {
    const { sessions, currentSession, branches } = this.#state.current;
    const current =
      currentSession.kind === 'session' && currentSession.session.id === id ? currentSession.session : undefined;
    const session = find(sessions, id) ?? current;
    if (session && Object.keys(session.branches).length < 2) {
      if (!branches.has(id)) return;
      const others = new Map(branches);
      others.delete(id);
      this.#state.update({ branches: others });
      return;
    }
    if (!session || session.phase !== 'Idle') return;
    await this.#pull(`branches ${id}`, async () => {
      const { items } = await this.#connection.call('listBranches', { session: id });
      this.#state.update({ branches: new Map(this.#state.current.branches).set(id, items) });
    });
  }

  currentSession(): Promise<void> {
    return this.#pull('currentSession', async () => {
      const { project, currentSession } = this.#state.current;
      const { session, recorded: isRecorded = true } =
        project.kind === 'folder'
          ? await this.#connection.call('currentSession', { project: project.uri })
          : { session: currentSession.kind === 'session' && (await this.#sessionIfAny(currentSession.session.id)) };
      // The folder may have changed while the backend answered. Then the next pull is on its way.
      if (this.#state.current.project !== project) return;
      this.#state.update({ currentSession: session ? { kind: 'session', session } : { kind: 'none' }, isRecorded });
    });
  }

  engine(): Promise<void> {
    return this.#pull('engine', async () => {
      const { engines, defaultEngine } = await this.#connection.call('health', {});
      const spec = this.#engineSpec() ?? defaultEngine;
      const status = engines.find((engine) => engine.spec === spec);
      const engine: EngineState =
        status === undefined || (!status.reachable && status.problem === null)
          ? { kind: 'unasked' }
          : { kind: status.reachable ? 'reachable' : 'down', status };
      this.#state.update({ engine });
    });
  }

  /** Fetches one more page of a session's windows, of a project's sessions ('': of no project), or of the sessions. */
  async more({ session, ofProject }: { readonly session?: string; readonly ofProject?: string }): Promise<void> {
    const key = session ?? (ofProject === undefined ? '' : `project ${ofProject}`);
    this.#wanted.set(key, (this.#wanted.get(key) ?? pageSize) + pageSize);
    if (session !== undefined) return this.windows(session);
    if (ofProject !== undefined) return this.project(ofProject === '' ? null : parseProjectUri(ofProject));
    await this.sessions();
  }

  /** A session created between two pages shifts the rest, so a row can come twice. VS Code refuses a tree with a duplicate. */
  async #pages<T>(
    key: string,
    fetch: (page: { limit: number; offset: number }) => Promise<{ items: T[]; total: number; hasMore: boolean }>,
    nameOf: (item: T) => string,
  ): Promise<Listing<T>> {
    const wanted = this.#wanted.get(key) ?? pageSize;
    const items = new Map<string, T>();
    for (let offset = 0; ;) {
      const page = await fetch({ limit: pageSize, offset });
      offset += page.items.length;
      for (const item of page.items) items.set(nameOf(item), item);
      if (!page.hasMore || page.items.length === 0 || offset >= wanted) {
        return { kind: 'loaded', items: [...items.values()], total: Math.max(page.total, items.size) };
      }
    }
  }

  #sessionIfAny(session: string): Promise<Session | null> {
    return nullOn(this.#connection.call('getSession', { session }), 'SessionNotFound');
  }

  #pull(key: string, job: () => Promise<void>): Promise<void> {
    return this.#jobs.run(key, async () => {
      if (!this.#connection.isOpen) return;
      try {
        await job();
      } catch (error) {
        this.#onError(toCwmError(error));
      }
    });
  }
}

/** What is asked for without a connection, or in vain, is noted as unknown, so that a later change fetches it. */
const asked = <K, T>(listings: ReadonlyMap<K, Listing<T>>, key: K): ReadonlyMap<K, Listing<T>> =>
  listings.has(key) ? listings : new Map(listings).set(key, { kind: 'unknown' });

const find = (sessions: State['sessions'], id: string): Session | undefined =>
  sessions.kind === 'loaded' ? sessions.items.find((session) => session.id === id) : undefined;

/** A filter finds its sessions beyond the projects: it lists them in one row. */
const isGrouped = ({ scope, filter }: State): boolean => scope === 'all' && filter === '';

const rowsOf = ({ scope, project, filter }: State): RouteInput<'listSessions'> => ({
  ...(scope === 'folder' && project.kind === 'folder' && { project: project.uri }),
  ...(filter !== '' && { search: filter }),
});

/** This folder's project first, also before it has a session; then the others that have one, by name; then what belongs to none. */
function projectRows(
  items: RouteOutput<'listProjects'>['items'],
  withoutProject: number,
  open: { readonly uri: ProjectUri; readonly name: string } | null,
): ProjectRow[] {
  const fresh = { sessions: 0, isGone: false, isRecorded: true };
  const rows = items.map(({ project, name, sessions, isGone, recorded: isRecorded = true }) => ({
    uri: parseProjectUri(project),
    name,
    sessions,
    isGone,
    isRecorded,
  }));
  const here = open && (rows.find(({ uri }) => uri === open.uri) ?? { ...open, ...fresh });
  const others = rows.filter(({ uri, sessions }) => uri !== open?.uri && sessions > 0);
  const none = { ...fresh, uri: null, name: 'No Project', sessions: withoutProject };
  return [...(here ? [here] : []), ...others, ...(withoutProject > 0 ? [none] : [])];
}

function together(listings: readonly Listing<Session>[]): Listing<Session> {
  const loaded = listings.flatMap((listing) => (listing.kind === 'loaded' ? [listing] : []));
  return {
    kind: 'loaded',
    items: loaded.flatMap(({ items }) => items),
    total: loaded.reduce((sum, { total }) => sum + total, 0),
  };
}
