import { CwmError } from '../../../protocol/errors.ts';
import { pickExistingSession } from '../../pick/pickSession.ts';
import { showReceiptMessage } from '../../ui/notifications.ts';
import { command } from '../command.ts';
import { openWindow, type OpenRequest } from './openWindow.ts';

/** Continues a frozen session. */
export const resume = command('cwm.resume', {
  async ask(app, input): Promise<OpenRequest | undefined> {
    const session =
      input.session === undefined
        ? await pickExistingSession(app, 'Resume this frozen session', { lifecycle: 'frozen' })
        : await app.connection.call('getSession', { session: input.session });
    if (session === undefined) return undefined;
    if (session.frozenAs === null) {
      throw new CwmError('InvalidTransition', `Session "${session.title}" is not frozen.`, {
        hint: 'Switch to the session to continue it.',
      });
    }
    return { window: session.frozenAs, resume: true, insist: false };
  },
  progress: ({ window }: OpenRequest) => ({ title: `Resuming from ${window}` }),
  perform: openWindow,
  show: showReceiptMessage,
});
