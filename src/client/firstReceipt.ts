import type { RouteInput, RouteName, RouteOutput } from '../protocol/api.ts';
import { CwmError, draftKept, toCwmError } from '../protocol/errors.ts';
import type { Receipt } from '../protocol/schemas/receipt.ts';

/** As the backend's clients call a route. */
export type Call = <Name extends RouteName>(name: Name, input: RouteInput<Name>) => Promise<RouteOutput<Name>>;

/** Longer than a few KV blocks of every known server: of fewer tokens there is nothing to reuse. */
const text = [
  'A window is a snapshot of a conversation: its messages, the exact ids of its tokens, and the KV cache that the model server computed for them.',
  'When the window is opened again, the KV cache is loaded, and the tokens that the server did not have to compute again are counted.',
  'What could be counted is shown as a receipt, and nothing else is claimed. Answer with the one word "ready".',
].join(' ');

/**
 * Shows what a model server gives: a short conversation is frozen and thawed. Both sessions and the window go to the trash afterwards.
 *
 * @returns the receipt of the thaw.
 * @throws CwmError when a step fails; what was made until then goes to the trash too.
 */
export async function firstReceipt(call: Call, engine: string): Promise<Receipt> {
  const { id } = await call('createSession', { title: 'First receipt', engine });
  const window = `first-receipt-${id}`;
  const sessions: string[] = [id];
  try {
    await call('send', { session: id, text, maxTokens: 8 }).catch((thrown: unknown) => {
      const { name, message, hint, context } = toCwmError(thrown);
      // The text is the trial's own.
      const shown = hint.replace(` ${draftKept}.`, '');
      throw new CwmError(name, message, { hint: shown, cause: thrown, context: { ...context, draftKept: false } });
    });
    await call('freeze', { session: id, window, checkpoint: true });
    const receipt = await call('thaw', { window });
    if (receipt.session !== id) sessions.unshift(receipt.session);
    return receipt;
  } finally {
    for (const session of sessions) await call('deleteSession', { session, cascade: true }).catch(() => undefined);
  }
}
