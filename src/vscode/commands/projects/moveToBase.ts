import { window } from 'vscode';
import { readableLine } from '../../../base/readableText.ts';
import type { RouteInput } from '../../../protocol/api.ts';
import { isCwmError } from '../../../protocol/errors.ts';
import { movedToBaseSentence } from '../../../words/prime.ts';
import { targetSession } from '../../pick/pickSession.ts';
import { showDone } from '../../ui/notifications.ts';
import { command } from '../command.ts';

interface Request extends RouteInput<'moveToBase'> {
  readonly title: string;
}

/** Moves a session to the renewed base of its project, on a new branch. What it costs is asked for first. */
export const moveToBase = command('cwm.moveToBase', {
  async ask(app, { session: named, confirmed }): Promise<Request | undefined> {
    const session = await targetSession(app, named, "Move this session to its project's base");
    if (session === undefined) return undefined;
    return { session: session.id, title: session.title, ...(confirmed && { breakPrefix: true }) };
  },
  async perform(app, { title, ...request }: Request, call) {
    try {
      return await app.connection.call('moveToBase', request, call);
    } catch (error) {
      if (!isCwmError(error, 'PrefixWouldBreak')) throw error;
      const yes = 'Move and Compute Again';
      const detail = `${error.message} The present branch stays as it is.`;
      const question = `Move "${readableLine(title)}" to the base of its project?`;
      const answer = await window.showWarningMessage(question, { modal: true, detail }, yes);
      if (answer !== yes) return null;
      return app.connection.call('moveToBase', { ...request, breakPrefix: true }, call);
    }
  },
  show(app, moved) {
    if (moved) showDone(app, movedToBaseSentence(moved));
  },
});
