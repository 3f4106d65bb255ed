import { ConfigurationTarget, type ExtensionContext, type LogOutputChannel, window, workspace } from 'vscode';
import type { BackendStart } from '../../client/backendChild.ts';
import { findOlderStore, takeOverOlderStore } from '../../client/olderStore.ts';
import type { SettingId } from '../settings/settingTable.ts';
import { otherStoreText, takenOverText, useOlderStore } from '../render/olderStoreText.ts';
import { olderStorageDirectory } from '../settings/storageDirectory.ts';
import { inBackground } from '../../base/inBackground.ts';

/** Remembers which older store the user has seen a notice about. One notice is enough. */
const toldKey = 'cwm.olderStoreNamed';

/**
 * Earlier versions stored everything in the extension's own storage, where the command line did not look. Such a store moves into
 * the shared directory. When that directory has sessions already, both stores stay, and one notice names the older one.
 */
export async function settleOlderStore(
  context: ExtensionContext,
  log: LogOutputChannel,
  { storage, start }: { readonly storage: string; readonly start: BackendStart },
  signal: AbortSignal,
): Promise<void> {
  const older = olderStorageDirectory(context);
  if (older === null) return;
  const found = await findOlderStore(older, storage);
  if (found === 'none') return;
  const outcome = found === 'waiting' ? await takeOverOlderStore(older, storage, start, signal) : 'none';
  if (outcome !== 'none') {
    const text = takenOverText(outcome, older, storage);
    log.info(text);
    inBackground(log, 'Showing where sessions are stored', window.showInformationMessage(text));
  } else if (context.globalState.get(toldKey) !== older) {
    const text = otherStoreText(older, storage);
    log.warn(text);
    inBackground(log, 'Showing where sessions are stored', tellOfOther(context, text, older));
  }
}

async function tellOfOther(context: ExtensionContext, text: string, older: string): Promise<void> {
  await context.globalState.update(toldKey, older);
  if ((await window.showWarningMessage(text, useOlderStore)) !== useOlderStore) return;
  await workspace
    .getConfiguration()
    .update('cwm.storageDirectory' satisfies SettingId, older, ConfigurationTarget.Global);
}
