import type { CallOptions } from '../../../client/backendClient.ts';
import { window } from 'vscode';
import { isCwmError } from '../../../protocol/errors.ts';
import type { Receipt } from '../../../protocol/schemas/receipt.ts';
import type { App } from '../../app.ts';
import { activate } from '../sessions/createSession.ts';
import { engineOfWindow } from './engineOfWindow.ts';
import { noteReceipt } from './noteReceipt.ts';

export interface OpenRequest {
  readonly window: string;
  /** Continues the frozen session instead of creating one. */
  readonly resume: boolean;
  /** Opens the window although another model is served. */
  readonly insist: boolean;
}

/** Opens a window. The backend refuses another model than the frozen one; the user may still want the text. */
export async function openWindow(app: App, request: OpenRequest, call: CallOptions): Promise<Receipt> {
  try {
    return await openNow(app, request, call);
  } catch (error) {
    if (!isCwmError(error, 'ModelMismatch') || request.insist) throw error;
    const yes = 'Thaw without KV';
    const detail = 'You can open the conversation anyway. Its KV cache belongs to the other model and is not used.';
    const answer = await window.showWarningMessage(error.message, { modal: true, detail }, yes);
    if (answer !== yes) throw error;
    return openNow(app, { ...request, insist: true }, call);
  }
}

async function openNow(app: App, request: OpenRequest, call: CallOptions): Promise<Receipt> {
  const ofWindow = await engineOfWindow(app, request.window);
  const receipt = await app.connection.call('thaw', { ...request, ...ofWindow }, call);
  const session = await app.connection.call('getSession', { session: receipt.session });
  await activate(app, session);
  noteReceipt(app, receipt);
  return receipt;
}
