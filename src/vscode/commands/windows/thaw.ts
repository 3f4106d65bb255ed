import { window } from 'vscode';
import { pickWindow } from '../../pick/pickWindow.ts';
import { showReceiptMessage } from '../../ui/notifications.ts';
import { commandTitles } from '../../contributions.ts';
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
/** As {@link thaw}, with a message that the opened session sends at once, or without a request to the model server. */
export const thawWith = command('cwm.thawWith', {
  async ask(app, input): Promise<OpenRequest | undefined> {
    const name = input.window ?? (await pickWindow(app, 'Thaw this window'));
    const chosen = name === undefined ? undefined : await window.showQuickPick(ways, { title, placeHolder: name });
    if (name === undefined || chosen === undefined) return undefined;
    const opened = { window: name, resume: false, insist: false };
    if (!chosen.sends) return { ...opened, warm: false };
    const prompt = await window.showInputBox({
      title,
      prompt: 'The message that the opened session sends.',
      validateInput: (value) => (value.trim() === '' ? 'Enter a message.' : null),
    });
    return prompt === undefined ? undefined : { ...opened, prompt };
  },
  progress: ({ window }: OpenRequest) => ({ title: `Thawing ${window}` }),
  perform: openWindow,
  show: showReceiptMessage,
});

const title = commandTitles['cwm.thawWith'];
const ways = [
  { label: 'A Message…', description: 'the opened session sends it at once', sends: true },
  { label: 'No Warming', description: 'the conversation opens, and the model server is asked nothing', sends: false },
];
