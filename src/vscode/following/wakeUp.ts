import { findOlderStore, hasStore } from '../../client/olderStore.ts';
import { inBackground } from '../../base/inBackground.ts';
import type { ExtensionContext } from 'vscode';
import type { App } from '../app.ts';
import { olderStorageDirectory, storageDirectory } from '../settings/storageDirectory.ts';

/**
 * Shows what there is without a command: it connects when anything was ever stored, so that a folder shows its current session
 * as soon as it opens. Where nothing was stored, it starts no process.
 */
export async function wakeUp(app: App): Promise<void> {
  await app.project.settled;
  if (app.connection.isOpen) return;
  if (!(await somethingIsStored(app.context))) {
    app.state.update({ currentSession: { kind: 'none' }, sessions: { kind: 'loaded', items: [], total: 0 } });
    return;
  }
  // Connecting fetches everything; a failure is in the state and stands above the tree.
  await app.connection.open();
  const { renewLogin } = await import('../connection/renewLogin.ts');
  inBackground(app.log, 'Looking at what starts at login', renewLogin(app.context, app.log));
}

/** Whether anything was ever stored, so that {@link wakeUp} connects. */
export async function somethingIsStored(context: ExtensionContext): Promise<boolean> {
  const storage = storageDirectory();
  const older = olderStorageDirectory(context);
  return (await hasStore(storage)) || (older !== null && (await findOlderStore(older, storage)) !== 'none');
}
