import type { Session } from '../../../protocol/schemas/session.ts';
import type { App } from '../../app.ts';
import { pickMessageOf } from '../../pick/pickMessageOf.ts';
import { targetSession } from '../../pick/pickSession.ts';
import { setting } from '../../settings/settings.ts';
import { command } from '../command.ts';
import { window } from 'vscode';
import { offerDecision } from './decideTools.ts';
import { commandTitles } from '../../contributions.ts';

const maxTokensOf = ({ settings }: Session): number => settings?.sampling?.maxTokens ?? setting('cwm.answer.maxTokens');

interface Request {
  readonly session: Session;
  /** Undefined: the last one. */
  readonly message?: string | undefined;
}

/** Another answer to the same message, on a branch that shares that message. */
export const regenerate = command('cwm.regenerate', {
  async ask(app, { session: named, message }): Promise<Request | undefined> {
    const session = await targetSession(app, named, 'Generate another answer in this session');
    return session && { session, message };
  },
  progress: ({ session }: Request) => waiting(session, 'another answer'),
  async perform(app, { session, message }, call) {
    app.readings.show(session, { beside: true });
    const input = { session: session.id, engine: session.engine, message, maxTokens: maxTokensOf(session) };
    return app.connection.call('regenerate', input, call);
  },
  show: (app, answer, { session }) => void offerDecision(app, session, answer),
});

/** The rest of an answer that was cut, from its exact token ids. */
export const continueAnswer = command('cwm.continueAnswer', {
  async ask(app, input): Promise<Request | undefined> {
    const session = await targetSession(app, input.session, 'Continue the answer in this session');
    return session && { session };
  },
  progress: ({ session }: Request) => waiting(session, 'the rest of the answer'),
  async perform(app, { session }, call) {
    app.readings.show(session, { beside: true });
    const input = { session: session.id, engine: session.engine, maxTokens: maxTokensOf(session) };
    return app.connection.call('continueAnswer', input, call);
  },
  show: (app, answer, { session }) => void offerDecision(app, session, answer),
});

/** The session acts from now on, and the model is told to carry out its plan. */
export const acceptPlan = command('cwm.acceptPlan', {
  async ask(app, input): Promise<Request | undefined> {
    const session = await targetSession(app, input.session, 'Accept the plan of this session');
    return session && { session };
  },
  progress: ({ session }: Request) => waiting(session, 'the answer'),
  async perform(app, { session }, call) {
    app.readings.show(session, { beside: true });
    const input = { session: session.id, engine: session.engine, maxTokens: maxTokensOf(session) };
    return app.connection.call('acceptPlan', input, call);
  },
  show: (app, answer, { session }) => void offerDecision(app, session, answer),
});

/** Sends another text in place of a message, on a branch that shares what came before it. */
export const editMessage = command('cwm.editMessage', {
  async ask(app, input): Promise<(Required<Request> & { readonly text: string }) | undefined> {
    const session = await targetSession(app, input.session, 'Edit a message of this session');
    if (session === undefined) return undefined;
    const { message, text } =
      input.message !== undefined && input.text !== undefined ? input : await askEdit(app, session, input.message);
    return message === undefined || text === undefined ? undefined : { session, message, text };
  },
  progress: ({ session }) => waiting(session, 'the answer'),
  async perform(app, { session, message, text }, call) {
    app.readings.show(session, { beside: true });
    const { id, engine } = session;
    const input = { session: id, engine, message: message ?? '', text, maxTokens: maxTokensOf(session) };
    return app.connection.call('editMessage', input, call);
  },
  show: (app, answer, { session }) => void offerDecision(app, session, answer),
});

const waiting = ({ title }: Session, what: string) => ({ title: `Waiting for ${what} in "${title}"` });

async function askEdit(
  app: App,
  session: Session,
  named: string | undefined,
): Promise<{ message?: string; text?: string | undefined }> {
  const prompt = 'Select a message to send again with another text';
  const found = await pickMessageOf(app, session, { prompt, role: 'user', id: named });
  if (!found || found.content.type !== 'text') return {};
  const text = await window.showInputBox({
    title: commandTitles['cwm.editMessage'],
    prompt: 'The new text, on a branch of its own.',
    value: found.content.text,
    validateInput: (value) => (value.trim() === '' ? 'Enter a message.' : null),
    ignoreFocusOut: true,
  });
  return { message: found.id, text };
}
