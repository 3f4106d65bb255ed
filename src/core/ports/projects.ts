import type { ProjectUri, SessionId } from '../../protocol/ids.ts';
import type { ProjectBase, ProjectConfig, KnownProject, ProjectHints } from '../../protocol/schemas/projectConfig.ts';

/** A project's own file. */
export interface FoundConfig {
  /** Absolute. */
  readonly path: string;
  /** The folder that has the file: its real path. */
  readonly root: ProjectUri;
  readonly config: ProjectConfig;
}

/** Looks into the folders of projects. */
export interface ProjectFolders {
  /**
   * The nearest file of a project, upwards; null where it has none, and where its folder is on no disk of this machine, or gone.
   *
   * @throws CwmError InvalidParameter when a file that exists is bad, OperationTimeout.
   */
  config(project: ProjectUri, signal: AbortSignal): Promise<FoundConfig | null>;
  /** The one name of the folder, whichever link, spelling or case it was named by. A folder that is gone has the name that was given. */
  canonical(project: ProjectUri, signal: AbortSignal): Promise<ProjectUri>;
  hints(project: ProjectUri, signal: AbortSignal): Promise<ProjectHints>;
  /** Whether its folder is there; null where it is on no disk of this machine, or its drive does not answer. */
  exists(project: ProjectUri, signal: AbortSignal): Promise<boolean | null>;
  /** Where the project's folder is; null where it is on no disk of this machine. */
  pathOf(project: ProjectUri): string | null;
  /**
   * These files in the order in which they changed: what git saw change least comes first, then by the last change, and files that git does not
   * know come last, by the time of their change.
   *
   * @param paths relative to the folder.
   */
  byChange(folder: string, paths: readonly string[], signal: AbortSignal): Promise<readonly string[]>;
  /** Of the folder's real path. @throws CwmError InvalidDirectory (relative, absent, or no folder), OperationTimeout. */
  uriOf(folder: string, signal: AbortSignal): Promise<ProjectUri>;
}

/** Who runs the current operation. */
export interface Caller {
  readonly client: string;
  /** A program that acts without a person, or one over TCP. */
  readonly isAgent: boolean;
}

/** The current sessions of a folder before and after a switch of its git branch. */
export interface BranchSwitch {
  readonly left: SessionId | null;
  readonly current: SessionId | null;
}

export interface ListedProject extends KnownProject {
  /** As {@link ProjectStore.currentSession}. */
  readonly currentSession: SessionId | null;
  /** As {@link ProjectStore.isRecorded}. */
  readonly isRecorded: boolean;
}

export interface ProjectStore {
  /** Every project that anything was stored of, in no order. */
  list(): Promise<readonly ListedProject[]>;
  /** Remembers how to recognise it. */
  note(known: KnownProject): Promise<void>;
  /** Forgets what was stored of it; its sessions stay. */
  forget(project: ProjectUri): Promise<void>;
  /** The current session of this project, or null. */
  currentSession(project: ProjectUri): Promise<SessionId | null>;
  /** Null where nothing was ever stored of it. */
  known(project: ProjectUri): Promise<KnownProject | null>;
  setCurrentSession(project: ProjectUri, id: SessionId | null): Promise<void>;
  /**
   * The folder is on this git branch now: the session that was current on it last becomes the current one, and that of the branch before is
   * remembered. A branch that was never seen continues with the present session.
   *
   * @returns the current sessions before and after; null where it is the same branch, or the first one.
   */
  switchBranch(project: ProjectUri, branch: string): Promise<BranchSwitch | null>;
  base(project: ProjectUri): Promise<ProjectBase | null>;
  setBase(project: ProjectUri, base: ProjectBase | null): Promise<void>;
  /** Whether anything of it may be saved without being asked for. Default: yes. */
  isRecorded(project: ProjectUri): Promise<boolean>;
  setRecorded(project: ProjectUri, isRecorded: boolean): Promise<void>;
  /** Whether the user trusts what the project's files say. Default: no. */
  isTrusted(project: ProjectUri): Promise<boolean>;
  setTrusted(project: ProjectUri, isTrusted: boolean): Promise<void>;
}
