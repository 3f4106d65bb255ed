import type { App } from '../../app.ts';
import { documentUri } from '../../documents/documentUri.ts';
import type { FoundMessage } from '../../../protocol/schemas/search.ts';
import { pickMessage } from '../../pick/pickMessage.ts';
import { command } from '../command.ts';

/** Finds what was said in any conversation, and opens the conversation that leads to it. */
export const search = command('cwm.search', {
  ask: (app: App, { text }) => pickMessage(app, text ?? ''),
  async perform(app, { session, message, title }: FoundMessage) {
    await app.documents.showRendered(documentUri('found', title, `${session}/${message}`));
    return undefined;
  },
});
