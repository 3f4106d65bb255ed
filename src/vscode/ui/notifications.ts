import { commands, window } from 'vscode';
import type { CwmError } from '../../protocol/errors.ts';
import type { Receipt } from '../../protocol/schemas/receipt.ts';
import type { App } from '../app.ts';
import { inBackground } from './background.ts';
import type { CommandId } from '../contributions.ts';
import { type FailureAction, failureActions, failureMessage } from '../render/failure.ts';
import { verdictWords } from '../render/verdictWords.ts';

const actionCommands: Readonly<Record<Exclude<FailureAction, 'retry'>, CommandId>> = {
  startEngine: 'cwm.startEngine',
  openSettings: 'cwm.openSettings',
  setApiKey: 'cwm.setApiKey',
  listWindows: 'cwm.listWindows',
  switchSession: 'cwm.switchSession',
  verify: 'cwm.verify',
  doctor: 'cwm.doctor',
  showLog: 'cwm.showLog',
};

/** Tells of a failure: what happened, its code, what to do next, and buttons that do it. Does not wait for the user. */
export function showFailure(app: App, title: string, error: CwmError, retry: (() => Promise<unknown>) | null): void {
  app.log.error(`${title}: ${error.message} (${error.code})`, error.context ?? '', error.cause ?? '');
  // Who cancels knows it.
  if (error.name === 'Cancelled') return;
  const { text, actions } = failureMessage(title, error, retry !== null);
  const ask = async (): Promise<void> => {
    const labels = actions.map((action) => failureActions[action]);
    const answer = await window.showErrorMessage(text, ...labels);
    const chosen = actions.find((action) => failureActions[action] === answer);
    if (chosen === 'retry') await retry?.();
    else if (chosen !== undefined) await commands.executeCommand(actionCommands[chosen]);
  };
  inBackground(app.log, 'Showing a failure', ask());
}

/** Tells what a freeze, thaw or clone did; the receipt is one click away. Does not wait for the user. */
export function showReceiptMessage(app: App, receipt: Receipt): void {
  const bad = receipt.verdict !== null && verdictWords[receipt.verdict].tone === 'bad';
  const text = `${receipt.window}: ${receipt.summary}`;
  const showReceipt = 'Show Receipt';
  const ask = async (): Promise<void> => {
    const answer = await (bad
      ? window.showWarningMessage(text, showReceipt)
      : window.showInformationMessage(text, showReceipt));
    if (answer === showReceipt) {
      await commands.executeCommand('cwm.showReceipt' satisfies CommandId, { window: receipt.window });
    }
  };
  inBackground(app.log, 'Showing a receipt', ask());
}

/** Tells of a success in a few words. Does not wait for the user. */
export function showDone(app: App, text: string): void {
  inBackground(app.log, 'Showing a message', window.showInformationMessage(text));
}
