import type { Session } from '../../../protocol/schemas/session.ts';
import { showMemoryView } from '../../documents/memoryView.ts';
import { targetSession } from '../../pick/pickSession.ts';
import { command } from '../command.ts';

/** Opens what the next prompt of a session has of its conversation. */
export const showMemory = command('cwm.showMemory', {
  ask: (app, input) => targetSession(app, input.session, 'Show the memory of this session'),
  async perform(app, session: Session) {
    showMemoryView(app, session);
    return undefined;
  },
});
