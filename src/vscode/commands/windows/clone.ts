import { showReceiptMessage } from '../../ui/notifications.ts';
import { defaultWindowName } from '../../pick/names.ts';
import { command } from '../command.ts';
import { askWindowName } from './freeze.ts';
import { noteReceipt } from './noteReceipt.ts';
import { pickWindow } from '../../pick/pickWindow.ts';

interface Request {
  readonly window: string;
  readonly target: string;
}

/** Creates a second window over the same content. No KV is copied. */
export const clone = command('cwm.clone', {
  async ask(app, input): Promise<Request | undefined> {
    const source = input.window ?? (await pickWindow(app, 'Clone this window'));
    if (source === undefined) return undefined;
    const target = input.target ?? (await askWindowName('cwm.clone', defaultWindowName(`${source}-clone`, new Date())));
    return target === undefined ? undefined : { window: source, target };
  },
  progress: ({ window, target }) => ({ title: `Cloning ${window} as ${target}` }),
  async perform(app, request, call) {
    const receipt = await app.connection.call('clone', request, call);
    noteReceipt(app, receipt);
    return receipt;
  },
  show: showReceiptMessage,
});
