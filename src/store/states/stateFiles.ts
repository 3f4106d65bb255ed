import { SerialQueue } from '../../base/serialQueue.ts';
import type { RecoveryPoint, StateStore, StoredState } from '../../core/ports/states.ts';
import { CwmError, isCwmError, nullOn } from '../../protocol/errors.ts';
import { parseSessionId, type SessionId } from '../../protocol/ids.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import type { SessionFiles } from '../records/sessionFiles.ts';
import { hasDirectory, type StoreDisk } from '../disk/storeDisk.ts';
import { RecoveryFiles } from './recoveryFiles.ts';
import { RestoreIntents, type RestoreIntent } from './restoreIntents.ts';
import { StateRecords } from './stateRecords.ts';
import { selectionRecordSchema } from './stateSchemas.ts';

/** {@link StateStore} on plain files, in the directories of the sessions. */
export class StateFiles implements StateStore {
  readonly #parts: StoreDisk;
  readonly #sessions: SessionFiles;
  readonly #records: StateRecords;
  readonly #recovery: RecoveryFiles;
  readonly #intents: RestoreIntents;
  readonly #selectionQueue = new SerialQueue();

  constructor(parts: StoreDisk, sessions: SessionFiles) {
    this.#parts = parts;
    this.#sessions = sessions;
    this.#records = new StateRecords(parts);
    this.#recovery = new RecoveryFiles(parts, (id, sha256) => this.#hasTokens(id, sha256));
    this.#intents = new RestoreIntents(parts);
  }

  load(id: SessionId): Promise<StoredState | null> {
    return this.#sessions.exclusively(id, () => this.#loadNow(id));
  }

  save(id: SessionId, next: StoredState, fromVersion: number): Promise<void> {
    return this.#sessions.exclusively(id, async () => {
      const stored = (await this.#loadNow(id))?.version ?? 0;
      if (stored !== fromVersion) throw changedMeanwhile(id, stored, fromVersion);
      await this.#records.put(id, next);
    });
  }

  recoveryPoints(id: SessionId): Promise<{ points: RecoveryPoint[]; damaged: string[] }> {
    return this.#sessions.exclusively(id, async () => {
      await this.#requireSession(id);
      return this.#recovery.list(id);
    });
  }

  addRecoveryPoint(point: Omit<RecoveryPoint, 'conversation'>, spared?: string): Promise<RecoveryPoint> {
    const id = point.session;
    return this.#sessions.exclusively(id, async () => this.#recovery.add(await this.#requireRecord(id), point, spared));
  }

  async checkRecoveryPoint(point: RecoveryPoint): Promise<void> {
    await this.#sessions.exclusively(point.session, () => this.#checkNow(point));
  }

  restore(session: Session, state: StoredState | null, fromVersion: number | null): Promise<void> {
    const id = session.id;
    return this.#sessions.exclusively(id, async () => {
      const stored = fromVersion === null ? null : ((await this.#loadNow(id))?.version ?? 0);
      if (stored !== null && stored !== fromVersion) throw changedMeanwhile(id, stored, fromVersion);
      const held = await this.#records.hold(id);
      try {
        await this.#intents.begin({ session, state, fromVersion });
        await this.#apply(session, state);
      } catch (error) {
        await this.#undo(id, held);
        throw error;
      }
      await this.#intents.end(id);
      await held.drop();
      await this.#recovery.removeSpared(id);
    });
  }

  /** Finishes the restores that a crash interrupted. A restore whose session or state has changed since is over. */
  async recover(): Promise<void> {
    for (const intent of await this.#intents.left()) {
      const id = intent.session.id;
      await nullOn(this.#finish(intent), 'Corrupted');
      await this.#intents.end(id);
    }
  }

  async selectedSessions(): Promise<SessionId[]> {
    const { records, layout, files } = this.#parts;
    const record = await nullOn(records.read(layout.selection, selectionRecordSchema), 'Corrupted');
    const selected: SessionId[] = [];
    for (const name of record?.active ?? []) {
      const id = parseSessionId(name);
      if (await hasDirectory(files, layout.session(id).directory)) selected.push(id);
    }
    return selected;
  }

  setSelectedSessions(ids: readonly SessionId[]): Promise<readonly SessionId[]> {
    const { records, layout } = this.#parts;
    return this.#selectionQueue.run(async () => {
      // A list that cannot be read is about to be replaced; only the previous selection stays unknown.
      const before = await this.selectedSessions().catch((): SessionId[] => []);
      await records.write(layout.selection, { active: ids });
      return before;
    });
  }

  /** What is wrong with the session's state and recovery points, in plain words. */
  verify(id: SessionId): Promise<string[]> {
    return this.#sessions.exclusively(id, () => this.#verifyNow(id));
  }

  async #verifyNow(id: SessionId): Promise<string[]> {
    const problems: string[] = [];
    const note = async (check: () => Promise<unknown>): Promise<void> => {
      try {
        await check();
      } catch (error) {
        if (!isCwmError(error, 'Corrupted')) throw error;
        problems.push(error.message);
      }
    };
    await note(() => this.#loadNow(id));
    const { points, damaged } = await this.#recovery.list(id);
    problems.push(...damaged.map((point) => `Recovery point "${point}" of session "${id}" is damaged.`));
    for (const point of points) await note(() => this.#checkNow(point));
    return problems;
  }

  /** For a caller that has the session to itself. */
  async #loadNow(id: SessionId): Promise<StoredState | null> {
    await this.#requireSession(id);
    return this.#records.load(id);
  }

  /** Writes the session last: its old version shows that an interrupted restore is unfinished. */
  async #apply(session: Session, state: StoredState | null): Promise<void> {
    const id = session.id;
    if (state !== null) await this.#records.put(id, state);
    await this.#sessions.updateNow(session);
  }

  /** Never throws. When the state cannot be put back, the next start finishes the restore from its intent. */
  async #undo(id: SessionId, held: Awaited<ReturnType<StateRecords['hold']>>): Promise<void> {
    try {
      await held.putBack();
      await this.#intents.end(id);
    } catch {
      this.#parts.quarantine.note(
        this.#parts.layout.restoreIntent(id),
        'Going back to a recovery point failed and could not be undone; the next start finishes it.',
      );
    }
  }

  async #finish(intent: RestoreIntent): Promise<void> {
    const id = intent.session.id;
    const session = await this.#sessions.get(id);
    if (session === null || session.version !== intent.session.version - 1) return;
    const version = (await nullOn(this.#records.load(id), 'Corrupted'))?.version ?? intent.fromVersion ?? 0;
    if (intent.state !== null && version !== intent.fromVersion && version !== intent.state.version) return;
    // A restore that failed long ago, and whose recovery point was removed since.
    const { tokens } = intent.session;
    if (tokens && !(await this.#hasTokens(id, tokens.sha256))) return;
    await this.#apply(intent.session, intent.state);
    this.#parts.quarantine.note(
      this.#parts.layout.session(id).metadata,
      `The backend ended while session "${id}" was going back to a recovery point. That has now been finished.`,
    );
  }

  async #hasTokens(id: SessionId, sha256: string): Promise<boolean> {
    return (await nullOn(this.#sessions.loadTokensNow(id, sha256), 'Corrupted')) !== null;
  }

  /** For a caller that has the session to itself. */
  async #checkNow({ id: name, session: id, conversation }: RecoveryPoint): Promise<void> {
    const lost = (what: string): CwmError =>
      new CwmError('Corrupted', `${what} of recovery point "${name}" are missing or damaged.`);
    const { tokens, branches } = conversation;
    if (tokens && !(await this.#hasTokens(id, tokens.sha256))) throw lost('The token ids');
    const stored = new Set<string>(await this.#sessions.storedMessages(id));
    for (const { head } of Object.values(branches)) {
      const needed = await nullOn(this.#sessions.chainOfMessages(id, head), 'Corrupted');
      const missing = needed?.filter((message) => !stored.has(message)).length;
      if (missing !== 0) throw lost('Messages');
    }
  }

  async #requireSession(id: SessionId): Promise<void> {
    if (!(await hasDirectory(this.#parts.files, this.#parts.layout.session(id).directory))) throw noSession(id);
  }

  async #requireRecord(id: SessionId): Promise<Session> {
    const session = await this.#sessions.get(id);
    if (session === null) throw noSession(id);
    return session;
  }
}

const noSession = (id: SessionId): CwmError => new CwmError('SessionNotFound', `There is no session "${id}".`);

const changedMeanwhile = (id: SessionId, storedVersion: number, givenVersion: number | null): CwmError =>
  new CwmError('VersionConflict', `The state of session "${id}" was changed by another client.`, {
    context: { storedVersion, givenVersion },
  });
