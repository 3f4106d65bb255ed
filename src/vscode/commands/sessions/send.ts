import { window } from 'vscode';
import type { Session } from '../../../protocol/schemas/session.ts';
import type { App } from '../../app.ts';
import { commandTitles } from '../../contributions.ts';
import { setting } from '../../settings/settings.ts';
import { command } from '../command.ts';
import { continueAnswer } from './anotherAnswer.ts';
import { offerDecision } from './decideTools.ts';
import { shownSession, targetSession } from '../../pick/pickSession.ts';

interface Request {
  readonly session: Session;
  readonly text: string;
  readonly inView: boolean;
}

/** Sends a message. The answer appears in the reading view while it arrives. */
export const send = command('cwm.send', {
  async ask(app, input): Promise<Request | undefined> {
    const session =
      shownSession(app, input.session) ?? (await targetSession(app, input.session, 'Send to this session'));
    if (session === undefined) return undefined;
    const text = input.text ?? (await askText(app, session));
    return text === undefined ? undefined : { session, text, inView: input.inView ?? false };
  },
  progress: ({ session, inView }: Request) => ({
    title: `Waiting for the answer in "${session.title}"`,
    isQuiet: inView,
  }),
  async perform(app, { session, text }: Request, call) {
    const answer = await app.conversations.during(session, text, async (onText) => {
      app.readings.show(session, { beside: true });
      return app.connection.call(
        'send',
        {
          session: session.id,
          engine: session.engine,
          text,
          maxTokens: session.settings?.sampling?.maxTokens ?? setting('cwm.answer.maxTokens'),
        },
        { ...call, onText },
      );
    });
    if (answer.prefixBreak !== null) {
      app.log.warn(`Prefix break at token ${answer.prefixBreak.atToken}: ${answer.prefixBreak.likelyCause}`);
    }
    if (answer.rerenderTokens !== undefined) {
      app.log.info(
        `Continued from the token ids: to render the conversation again would compute ${answer.rerenderTokens} tokens.`,
      );
    }
    for (const [index, note] of answer.notes.entries()) {
      const isOfCut = index === 0 && answer.finishReason === 'length';
      // The reading view says that the answer was cut, and has the button.
      if (isOfCut && app.readings.isVisible(session.id)) continue;
      void showNote(app, session, note, isOfCut ? [continueAction] : []);
    }
    void offerDecision(app, session, answer);
    return answer;
  },
});

const continueAction = commandTitles['cwm.continueAnswer'];

/** Shows a note about an answer. A cut answer gets a button that asks for the rest. */
async function showNote(app: App, session: Session, note: string, actions: readonly string[]): Promise<void> {
  const chosen = await window.showWarningMessage(note, ...actions);
  if (chosen === continueAction) await continueAnswer(app, { session: session.id });
}

const askText = (app: App, session: Session): Thenable<string | undefined> =>
  window.showInputBox({
    title: `Send to "${session.title}"`,
    prompt: 'The answer opens in a second editor.',
    // The message that could not be sent last time.
    value: app.conversations.unsent(session.id) ?? session.draft ?? '',
    validateInput: (value) => (value.trim() === '' ? 'Enter a message.' : null),
    ignoreFocusOut: true,
  });
