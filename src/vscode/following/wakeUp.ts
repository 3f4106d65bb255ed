import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { App } from '../app.ts';
import { storageDirectory } from '../settings/storageDirectory.ts';

/** Written when a storage directory is first used. */
const storeMarker = 'store.json';

/**
 * Shows what there is, without a command: connects when something was ever kept, so that a folder's last session is the active one
 * as soon as the folder opens. Where nothing was kept, no process is started for it.
 */
export async function wakeUp(app: App): Promise<void> {
  await app.project.settled;
  if (app.connection.isOpen) return;
  if (!(await exists(join(storageDirectory(app.context), storeMarker)))) {
    app.state.update({ active: { kind: 'none' }, sessions: { kind: 'loaded', items: [], total: 0 } });
    return;
  }
  // Connecting fetches everything; a failure is in the state and stands above the tree.
  await app.connection.open();
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
