import type { WorkspaceFolder } from 'vscode';
import type { Session } from '../../../protocol/schemas/session.ts';
import { showDone, showDoneWith } from '../../ui/notifications.ts';
import { workedInFolder } from '../../following/project.ts';
import { plural } from '../../../words/amounts.ts';
import { leftOutSentence, primedSentence } from '../../../words/prime.ts';
import { command } from '../command.ts';
import { excludedPaths } from '../../pick/excludedPaths.ts';
import { pickPaths } from '../../pick/pickPaths.ts';
import { targetSession } from '../../pick/pickSession.ts';

interface Request {
  readonly session: Session;
  readonly paths: readonly string[];
  readonly folder: WorkspaceFolder | null;
}

export const prime = primeCommand('cwm.prime');
/** Adds the files and folders that are selected in the explorer. */
export const primeSelection = primeCommand('cwm.primeSelection');

/** Adds files, as they are now, to the context of a session. */
function primeCommand(id: 'cwm.prime' | 'cwm.primeSelection') {
  return command(id, {
    async ask(
      app,
      input: { session?: string | undefined; paths?: string[] | undefined },
    ): Promise<Request | undefined> {
      const folder = workedInFolder();
      const session = await targetSession(app, input.session, 'Add the files to this session');
      if (session === undefined) return undefined;
      const paths = input.paths ?? (await pickPaths(app, folder));
      if (paths === undefined || paths.length === 0) return undefined;
      return { session, paths, folder };
    },
    progress: ({ session, paths }: Request) => ({
      title: `Adding ${plural(paths.length, 'path')} to the context of "${session.title}"`,
    }),
    perform: (app, { session, paths, folder }: Request, call) =>
      app.connection.call(
        'prime',
        {
          session: session.id,
          engine: session.engine,
          paths: [...paths],
          ...(folder && { cwd: folder.uri.fsPath, exclude: excludedPaths(folder.uri) }),
        },
        call,
      ),
    show(app, primed) {
      for (const note of primed.notes) app.log.info(note);
      for (const { path, why } of primed.skipped) app.log.info(`Left out ${path}: ${why}`);
      const leftOut = leftOutSentence(primed);
      if (leftOut === null) showDone(app, primedSentence(primed));
      else showDoneWith(app, `${primedSentence(primed)} ${leftOut} The log says why.`, 'cwm.showLog');
    },
  });
}
