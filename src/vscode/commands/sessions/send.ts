import { window } from 'vscode';
import type { SendResult } from '../../../protocol/schemas/turn.ts';
import type { Session } from '../../../protocol/schemas/session.ts';
import type { App } from '../../app.ts';
import type { CommandInput } from '../../contributions.ts';
import { documentUri } from '../../documents/documentUri.ts';
import { setting } from '../../settings/settings.ts';
import { command } from '../command.ts';
import { targetSession } from '../../pick/pickSession.ts';

interface Request {
  readonly session: Session;
  readonly text: string;
}

/** Sends a message; the answer appears in the conversation's document as it arrives. */
export const send = command<CommandInput<'cwm.send'>, Request, SendResult>({
  title: 'Send Message',
  async ask(app, input) {
    const session = await targetSession(app, input.session, 'Send to this session');
    if (session === undefined) return undefined;
    const text = input.text ?? (await askText(app, session));
    return text === undefined ? undefined : { session, text };
  },
  progress: ({ session }) => ({ title: `Waiting for the answer in “${session.title}”`, subject: session.id }),
  async perform(app, { session, text }, signal) {
    const answer = await app.conversations.during(session.id, text, async () => {
      await app.documents.showBeside(documentUri('conversation', session.title, session.id));
      return app.connection.call(
        'send',
        { session: session.id, engine: session.engine, text, maxTokens: setting('cwm.answer.maxTokens') },
        signal,
      );
    });
    await app.puller.all();
    if (answer.prefixBreak !== null) {
      app.log.warn(
        `The prompt left its predecessor's prefix at token ${answer.prefixBreak.atToken}: ${answer.prefixBreak.likelyCause}`,
      );
    }
    for (const [index, note] of answer.notes.entries()) {
      const isOfCut = index === 0 && answer.finishReason === 'length';
      void showNote(app, session, note, isOfCut ? [continueAction] : []);
    }
    return answer;
  },
});

const continueAction = 'Continue';

/** An answer that was cut at its limit comes with the way to have the rest. */
async function showNote(app: App, session: Session, note: string, actions: readonly string[]): Promise<void> {
  const chosen = await window.showWarningMessage(note, ...actions);
  if (chosen === continueAction) await send(app, { session: session.id, text: continueAction });
}

/** Opens the conversation as it is. */
export const showConversation = command<CommandInput<'cwm.showConversation'>, Session, undefined>({
  title: 'Show Conversation',
  ask: (app, input) => targetSession(app, input.session, 'Show the conversation of this session'),
  async perform(app, session) {
    await app.documents.showText(documentUri('conversation', session.title, session.id));
    return undefined;
  },
});

const askText = (app: App, session: Session): Thenable<string | undefined> =>
  window.showInputBox({
    title: `Send to “${session.title}”`,
    prompt: 'The answer opens beside.',
    // What could not be sent last time.
    value: app.conversations.unsent(session.id) ?? session.draft ?? '',
    validateInput: (value) => (value.trim() === '' ? 'The message is empty.' : null),
    ignoreFocusOut: true,
  });
