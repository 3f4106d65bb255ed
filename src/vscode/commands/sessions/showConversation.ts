import type { Session } from '../../../protocol/schemas/session.ts';
import { documentUri } from '../../documents/documentUri.ts';
import { showMemoryView } from '../../documents/memoryView.ts';
import { targetSession } from '../../pick/pickSession.ts';
import { command } from '../command.ts';

/** Opens the conversation of a session in the reading view. */
export const showConversation = command('cwm.showConversation', {
  ask: (app, input) => targetSession(app, input.session, 'Show the conversation of this session'),
  async perform(app, session: Session) {
    app.readings.show(session);
    return undefined;
  },
});

/** Opens the conversation of a session as Markdown, to copy from. */
export const showMarkdown = command('cwm.showMarkdown', {
  ask: (app, input) => targetSession(app, input.session, 'Show the conversation of this session'),
  async perform(app, session: Session) {
    await app.documents.showText(documentUri('conversation', session.title, session.id));
    return undefined;
  },
});

/** Opens what the next prompt of a session has of its conversation. */
export const showMemory = command('cwm.showMemory', {
  ask: (app, input) => targetSession(app, input.session, 'Show the memory of this session'),
  async perform(app, session: Session) {
    showMemoryView(app, session);
    return undefined;
  },
});
