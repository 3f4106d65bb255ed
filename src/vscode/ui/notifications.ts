import { readableText } from '../../base/readableText.ts';
import { commands, window } from 'vscode';
import type { CwmError } from '../../protocol/errors.ts';
import type { Receipt } from '../../protocol/schemas/receipt.ts';
import type { App } from '../app.ts';
import { inBackground } from '../../base/inBackground.ts';
import { commandTitles, type CommandId } from '../contributions.ts';
import { actionLabel, failureCommands, failureMessage } from '../render/failure.ts';
import { asVerdict, verdictWords } from '../../words/verdicts.ts';

/** Shows a failure of a command: what happened, its code, what to do next, and buttons that do it. Does not wait for the user. */
export function showFailure(app: App, id: CommandId, error: CwmError, retry: (() => Promise<unknown>) | null): void {
  const title = commandTitles[id].replace(/…$/, '');
  app.log.error(`${title}: ${error.message} (${error.code})`, error.context ?? '', error.cause ?? '');
  // A user who cancels needs no message.
  if (error.name === 'Cancelled') return;
  const { text, actions } = failureMessage(title, error, retry !== null);
  const ask = async (): Promise<void> => {
    const labels = actions.map(actionLabel);
    const answer = await window.showErrorMessage(readableText(text), ...labels);
    const chosen = actions.find((action) => actionLabel(action) === answer);
    if (chosen === 'retry') await retry?.();
    else if (chosen !== undefined) await commands.executeCommand(failureCommands[chosen]);
  };
  inBackground(app.log, 'Showing a failure', ask());
}

/** Shows the result of a freeze, thaw or clone, with a button for the receipt. Does not wait for the user. */
export function showReceiptMessage(app: App, receipt: Receipt): void {
  const verdict = asVerdict(receipt.verdict);
  const bad = verdict !== null && verdictWords[verdict].tone === 'bad';
  const text = readableText(`${receipt.window}: ${receipt.summary}`);
  const showReceipt = commandTitles['cwm.showReceipt'];
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

/** Shows a success that VS Code would cut after one line if it had no button: this one runs a command. Does not wait for the user. */
export function showDoneWith(app: App, text: string, next: CommandId): void {
  const ask = async (): Promise<void> => {
    const label = commandTitles[next];
    if ((await window.showInformationMessage(text, label)) === label) await commands.executeCommand(next);
  };
  inBackground(app.log, 'Showing a message', ask());
}

/** Shows a success in a few words. Does not wait for the user. */
export function showDone(app: App, text: string): void {
  inBackground(app.log, 'Showing a message', window.showInformationMessage(readableText(text)));
}
