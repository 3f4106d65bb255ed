import type { ProjectUri, SessionId } from '../../protocol/ids.ts';

export interface ProjectStore {
  /** The current session of this project, or null. */
  currentSession(project: ProjectUri): Promise<SessionId | null>;
  setCurrentSession(project: ProjectUri, id: SessionId | null): Promise<void>;
  /** Whether the user trusts what the project's files say. Default: no. */
  isTrusted(project: ProjectUri): Promise<boolean>;
  setTrusted(project: ProjectUri, isTrusted: boolean): Promise<void>;
}
