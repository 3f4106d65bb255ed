import type { CallOptions } from '../../../client/backendClient.ts';
import { window } from 'vscode';
import type { Receipt } from '../../../protocol/schemas/receipt.ts';
import type { App } from '../../app.ts';
import { activate } from '../sessions/createSession.ts';
import { engineOfWindow } from './engineOfWindow.ts';
import { noteReceipt } from './noteReceipt.ts';

export interface OpenRequest {
  readonly window: string;
  /** Only continues the frozen session. */
  readonly resume: boolean;
  /** Continues in a new session. Default: only where the one of the window cannot continue. */
  readonly copy?: boolean | undefined;
  /** Lets the conversation continue with another model than the frozen one. */
  readonly insist: boolean;
  /** A message that the opened session sends. */
  readonly prompt?: string | undefined;
  /** False asks the model server nothing. */
  readonly warm?: boolean | undefined;
}

/** Opens a window. Where another model is served, the user may let the conversation continue with that one. */
export async function openWindow(app: App, request: OpenRequest, call: CallOptions): Promise<Receipt> {
  const receipt = await openNow(app, request, call);
  if (receipt.verdict !== 'mismatch' || request.insist || request.resume) return receipt;
  const yes = 'Continue with the Other Model';
  const detail =
    'The conversation is open. To send a message to the other model, continue in a session that takes any model.';
  const answer = await window.showWarningMessage(receipt.summary, { modal: true, detail }, yes);
  if (answer !== yes) return receipt;
  const before = await app.connection.call('getWindow', { window: receipt.window }, call);
  const insisted = await openNow(app, { ...request, insist: true }, call);
  // A copy that cannot be used; the session of the window stays.
  if (receipt.session !== before.summary.session)
    await app.connection.call('deleteSession', { session: receipt.session }, call);
  return insisted;
}

async function openNow(app: App, request: OpenRequest, call: CallOptions): Promise<Receipt> {
  const ofWindow = await engineOfWindow(app, request.window);
  const receipt = await app.connection.call('thaw', { ...request, ...ofWindow }, call);
  const session = await app.connection.call('getSession', { session: receipt.session });
  await activate(app, session);
  noteReceipt(app, receipt);
  return receipt;
}
