import { window } from 'vscode';
import { CwmError } from '../../../protocol/errors.ts';
import type { Session } from '../../../protocol/schemas/session.ts';
import { waitingQuestions, type WaitingQuestion } from '../../../words/session.ts';
import { commandTitles } from '../../contributions.ts';
import { targetSession } from '../../pick/pickSession.ts';
import { setting } from '../../settings/settings.ts';
import { command } from '../command.ts';
import { offerDecision } from './decideTools.ts';

interface Request {
  readonly session: Session;
  readonly call: string;
  readonly answer: string;
}

/** Answers a question of the model; the turn then continues. */
export const answerQuestion = command('cwm.answerQuestion', {
  async ask(app, { session: named, call, text }): Promise<Request | undefined> {
    const session = await targetSession(app, named, 'Answer the question of this session');
    if (session === undefined) return undefined;
    const waiting = waitingQuestions(session.pendingTools);
    const question = call === undefined ? waiting[0] : waiting.find((each) => each.call === call);
    if (!question) throw new CwmError('InvalidParameter', `No question of "${session.title}" waits for an answer.`);
    const answer = text ?? (await pickAnswer(question));
    return answer === undefined ? undefined : { session, call: question.call, answer };
  },
  progress: ({ session }: Request) => ({ title: `Waiting for the answer in "${session.title}"` }),
  async perform(app, { session, call: asked, answer }, call) {
    app.readings.show(session, { beside: true });
    const maxTokens = session.settings?.sampling?.maxTokens ?? setting('cwm.answer.maxTokens');
    const input = { session: session.id, engine: session.engine, call: asked, answer, maxTokens };
    return app.connection.call('answerQuestion', input, call);
  },
  show: (app, answer, { session }) => void offerDecision(app, session, answer),
});

async function pickAnswer({ text, choices = [] }: WaitingQuestion): Promise<string | undefined> {
  const title = commandTitles['cwm.answerQuestion'];
  if (choices.length > 0) {
    const other = { label: 'Another Answer…', answer: null };
    const rows = [...choices.map((choice) => ({ label: choice, answer: choice })), other];
    const chosen = await window.showQuickPick(rows, { title, placeHolder: text, ignoreFocusOut: true });
    if (chosen === undefined || chosen.answer !== null) return chosen?.answer;
  }
  return window.showInputBox({
    title,
    prompt: text,
    validateInput: (value) => (value.trim() === '' ? 'Enter an answer.' : null),
    ignoreFocusOut: true,
  });
}
