import { nullOn } from '../../protocol/errors.ts';
import { dirname, join } from 'node:path';
import type { SessionId, WindowName } from '../../protocol/ids.ts';
import type { Lifecycle } from '../../protocol/schemas/session.ts';
import type { ClockWatch } from '../disk/clockWatch.ts';
import { hasCode, type Files } from '../disk/files.ts';
import type { FreezeIntent, FreezeIntents } from '../records/freezeIntents.ts';
import type { SessionFiles } from '../records/sessionFiles.ts';
import type { StoreDisk } from '../disk/storeDisk.ts';
import type { Trash } from '../records/trash.ts';
import type { WindowFiles } from '../records/windowFiles.ts';

/** Creates the directory, and syncs its name in each parent that had to be created, up to the first that existed. */
export async function makeDurableDirectory(files: Files, directory: string): Promise<void> {
  const parents: string[] = [];
  for (let path = directory; (await files.stat(path)) === null; path = dirname(path)) parents.push(dirname(path));
  await files.makeDirectory(directory);
  for (const parent of parents) await files.syncDirectory(parent);
}

/** A freeze that a crash had interrupted, and how it ended. */
export interface FinishedFreeze {
  readonly session: SessionId;
  readonly window: WindowName;
  /** Lifecycle of the session before. */
  readonly from: Lifecycle;
}

/** The parts of the store in which an earlier run can have left something unfinished. */
interface Recovered {
  readonly disk: StoreDisk;
  readonly sessions: SessionFiles;
  readonly windows: WindowFiles;
  readonly intents: FreezeIntents;
  readonly trash: Trash;
  readonly clockWatch: ClockWatch;
}

/**
 * Finishes or rolls back what an earlier run left unfinished. Every step may itself be interrupted and repeated.
 *
 * A freeze whose window is there is finished when the session still has the version it had when the freeze began: it becomes frozen as
 * that window. When the session has continued, or the window never appeared, the freeze did not happen; a window that is there stays,
 * like a checkpoint.
 */
export async function recover({
  disk: parts,
  sessions,
  windows,
  intents,
  trash,
  clockWatch,
}: Recovered): Promise<FinishedFreeze[]> {
  const { files, layout } = parts;
  const finished: FinishedFreeze[] = [];
  for (const name of await files.list(layout.temporary)) await files.removeTree(join(layout.temporary, name));
  for (const intent of await intents.left()) {
    try {
      const freeze = await nullOn(finishFreeze(parts, sessions, windows, intent), 'Corrupted');
      if (freeze) finished.push(freeze);
      await intents.remove(intent.window);
    } catch (error) {
      // The store must open on a full disk, because only an open store lets the user free space. A later start finishes the freeze.
      if (!hasCode(error, 'ENOSPC', 'EDQUOT')) throw error;
      parts.quarantine.note(layout.freezeIntent(intent.window), 'The disk is too full to finish this freeze.');
    }
  }
  if (await clockWatch.isSteady()) await trash.empty('expired');
  return finished;
}

async function finishFreeze(
  { quarantine, layout }: StoreDisk,
  sessions: SessionFiles,
  windows: WindowFiles,
  intent: FreezeIntent,
): Promise<FinishedFreeze | null> {
  const id = intent.session;
  const manifest = await windows.get(intent.window);
  const session = await sessions.get(id);
  if (manifest?.mode !== 'freeze' || manifest.session !== intent.session) return null;
  if (!session || session.version !== intent.sessionVersion) return null;
  await sessions.update({
    ...session,
    lifecycle: 'frozen',
    frozenAs: manifest.name,
    updatedAt: manifest.createdAt,
    version: session.version + 1,
  });
  quarantine.note(
    layout.session(id).metadata,
    `The backend ended while session "${id}" was being frozen as window "${manifest.name}"; the freeze was finished.`,
  );
  return { session: id, window: manifest.name, from: session.lifecycle };
}
