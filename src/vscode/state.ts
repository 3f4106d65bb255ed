import { type Disposable } from '../base/disposable.ts';
import { Emitter } from '../base/emitter.ts';
import type { EngineStatus } from '../protocol/schemas/health.ts';
import type { BranchSummary } from '../protocol/schemas/branch.ts';
import type { CwmError } from '../protocol/errors.ts';
import type { ProjectUri } from '../protocol/ids.ts';
import type { Receipt } from '../protocol/schemas/receipt.ts';
import type { Session } from '../protocol/schemas/session.ts';
import type { Warming } from '../protocol/schemas/warming.ts';
import type { WindowSummary } from '../protocol/schemas/window.ts';
import type { ContextKeys } from './contributions.ts';

export type ConnectionState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'starting' }
  | { readonly kind: 'connected' }
  | { readonly kind: 'failed'; readonly error: CwmError };

export type ProjectState =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'folder';
      readonly uri: ProjectUri;
      readonly name: string;
      /** The editor's folder, where its project is that of a folder above it. */
      readonly opened?: ProjectUri;
    };

export type CurrentSession =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'none' }
  | { readonly kind: 'session'; readonly session: Session };

export type Listing<T> =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'loaded'; readonly items: readonly T[]; readonly total: number };

/** The engine of new sessions. `unasked` is not a failure: the embedded engine starts when a command needs it. */
export type EngineState =
  | { readonly kind: 'unasked' }
  | { readonly kind: 'reachable'; readonly status: EngineStatus }
  | { readonly kind: 'down'; readonly status: EngineStatus };

/** A running operation, as the status bar shows it. */
export interface Operation {
  readonly title: string;
  readonly step: string;
}

/** One project in the tree of all folders; null stands for sessions of no project. */
export interface ProjectRow {
  readonly uri: ProjectUri | null;
  readonly name: string;
  readonly sessions: number;
  /** Whether its folder is not there any more. */
  readonly isGone: boolean;
  /** Whether anything of it is saved without being asked for. */
  readonly isRecorded: boolean;
}

/** On which machine the extension and its backend run, where the editor works on another one. */
export interface RemotePlace {
  /** VS Code's name for the connection, like `wsl` or `ssh-remote`. */
  readonly name: string;
  /** Whether they run there, where the files are, and not beside the user. */
  readonly isThere: boolean;
}

/** One line about a session's virtual memory. */
export interface SessionMemory {
  readonly session: string;
  readonly split: string;
}

/** Everything that the tree, the status bar and the welcome texts show. */
export interface State {
  readonly connection: ConnectionState;
  /** Null: everything is on this machine. */
  readonly remote: RemotePlace | null;
  readonly project: ProjectState;
  readonly scope: ContextKeys['cwm.scope'];
  readonly currentSession: CurrentSession;
  /** Whether anything of this folder's project is saved without being asked for, as the user said for good. */
  readonly isRecorded: boolean;
  /** What the titles of the sessions in the tree have in them; empty: no filter. */
  readonly filter: string;
  /** All rows of sessions that the tree has loaded. */
  readonly sessions: Listing<Session>;
  /** Where the tree groups sessions by project: this folder's first. Null where it does not. */
  readonly projects: readonly ProjectRow[] | null;
  /** By project; only for those that the user opened in the tree. Unknown until they are fetched. */
  readonly ofProjects: ReadonlyMap<ProjectUri | null, Listing<Session>>;
  /** By session id; only for sessions that the user opened in the tree. Unknown until they are fetched. */
  readonly windows: ReadonlyMap<string, Listing<WindowSummary>>;
  /** By session id; only for sessions that the user opened in the tree and that have several. */
  readonly branches: ReadonlyMap<string, readonly BranchSummary[]>;
  readonly engine: EngineState;
  /** Oldest first. */
  readonly operations: readonly Operation[];
  /** The last receipt of each session that this window of VS Code has seen. */
  readonly receipts: ReadonlyMap<string, Receipt>;
  /** By session id: what opening its folder did about its KV. */
  readonly warmings: ReadonlyMap<string, Warming>;
  /** What the current session's next prompt has, where virtual memory is on. Null: nobody has asked yet. */
  readonly memory: SessionMemory | null;
}

export const initialState: State = {
  connection: { kind: 'idle' },
  remote: null,
  project: { kind: 'none' },
  scope: 'folder',
  currentSession: { kind: 'unknown' },
  isRecorded: true,
  filter: '',
  sessions: { kind: 'unknown' },
  projects: null,
  ofProjects: new Map(),
  windows: new Map(),
  branches: new Map(),
  engine: { kind: 'unasked' },
  operations: [],
  receipts: new Map(),
  warmings: new Map(),
  memory: null,
};

/** Holds the one {@link State}. Views read the whole state after each change; there are no events to apply. */
export class ViewState implements Disposable {
  #state: State;
  readonly #changed: Emitter<State>;

  constructor(onError: (error: unknown) => void, state: State = initialState) {
    this.#state = state;
    this.#changed = new Emitter<State>(onError);
  }

  get current(): State {
    return this.#state;
  }

  update(change: Partial<State>): void {
    this.#state = { ...this.#state, ...change };
    this.#changed.emit(this.#state);
  }

  /** Calls `render` now, and after every change of one of `parts`. The last call has the newest state, also where a call changes it. */
  render(parts: readonly (keyof State)[], render: (state: State) => void): Disposable {
    let shown = this.#state;
    render(shown);
    return this.#changed.subscribe(() => {
      const before = shown;
      // A listener before this one may have changed the state again.
      shown = this.#state;
      if (parts.some((part) => before[part] !== shown[part])) render(shown);
    });
  }

  dispose(): void {
    this.#changed.dispose();
  }
}
