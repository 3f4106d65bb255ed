import type { Session } from '../../../protocol/schemas/session.ts';
import { documentUri } from '../../documents/documentUri.ts';
import { targetSession } from '../../pick/pickSession.ts';
import { setting } from '../../settings/settings.ts';
import { command } from '../command.ts';
import { offerDecision } from './decideTools.ts';

const maxTokensOf = ({ settings }: Session): number => settings?.sampling?.maxTokens ?? setting('cwm.answer.maxTokens');

/** Another answer to the last message, on a branch that shares that message. */
export const regenerate = command('cwm.regenerate', {
  ask: (app, input) => targetSession(app, input.session, 'Generate another answer in this session'),
  progress: ({ title }: Session) => ({ title: `Waiting for another answer in "${title}"` }),
  async perform(app, session: Session, call) {
    await app.documents.showBeside(documentUri('conversation', session.title, session.id));
    return app.connection.call('regenerate', { session: session.id, maxTokens: maxTokensOf(session) }, call);
  },
  show: (app, answer, session) => void offerDecision(app, session, answer),
});

/** The rest of an answer that was cut, from its exact token ids. */
export const continueAnswer = command('cwm.continueAnswer', {
  ask: (app, input) => targetSession(app, input.session, 'Continue the answer in this session'),
  progress: ({ title }: Session) => ({ title: `Waiting for the rest of the answer in "${title}"` }),
  async perform(app, session: Session, call) {
    await app.documents.showBeside(documentUri('conversation', session.title, session.id));
    return app.connection.call('continueAnswer', { session: session.id, maxTokens: maxTokensOf(session) }, call);
  },
  show: (app, answer, session) => void offerDecision(app, session, answer),
});
