import { pickWindow } from '../../pick/pickWindow.ts';
import { showReceiptMessage } from '../../ui/notifications.ts';
import { command } from '../command.ts';
import { openWindow, type OpenRequest } from './openWindow.ts';

/** Continues from a window, in its session, warm where the model server still has its KV. */
export const thaw = command('cwm.thaw', {
  async ask(app, input): Promise<OpenRequest | undefined> {
    const name = input.window ?? (await pickWindow(app, 'Thaw this window'));
    const { insist = false, prompt, warm } = input;
    return name === undefined ? undefined : { window: name, resume: false, insist, prompt, warm };
  },
  progress: ({ window }: OpenRequest) => ({ title: `Thawing ${window}` }),
  perform: openWindow,
  show: showReceiptMessage,
});

/** Continues from a window in a session of its own. */
export const thawCopy = command('cwm.thawCopy', {
  async ask(app, input): Promise<OpenRequest | undefined> {
    const name = input.window ?? (await pickWindow(app, 'Thaw this window into a copy'));
    return name === undefined ? undefined : { window: name, resume: false, copy: true, insist: false };
  },
  progress: ({ window }: OpenRequest) => ({ title: `Thawing a copy of ${window}` }),
  perform: openWindow,
  show: showReceiptMessage,
});
