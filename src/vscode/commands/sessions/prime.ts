import type { RouteOutput } from '../../../protocol/api.ts';
import type { Session } from '../../../protocol/schemas/session.ts';
import type { CommandInput } from '../../contributions.ts';
import { showDone } from '../../ui/notifications.ts';
import { workedInFolder } from '../../following/project.ts';
import { formatCount, formatDuration, formatTokens } from '../../../base/format.ts';
import { command } from '../command.ts';
import { pickPaths } from '../../pick/pickPaths.ts';
import { targetSession } from '../../pick/pickSession.ts';

interface Request {
  readonly session: Session;
  readonly paths: readonly string[];
  readonly cwd: string | null;
}

export const prime = primeCommand<CommandInput<'cwm.prime'>>();
/** The same, from the selection of the explorer. */
export const primeSelection = primeCommand<CommandInput<'cwm.primeSelection'>>();

/** Gives the model files as they are now, as context of what follows. */
function primeCommand<Input extends { session?: string | undefined; paths?: string[] | undefined }>() {
  return command<Input, Request, RouteOutput<'prime'>>({
    title: 'Prime from Files',
    async ask(app, input) {
      const folder = workedInFolder();
      const session = await targetSession(app, input.session, 'Give the files to this session');
      if (session === undefined) return undefined;
      const paths = input.paths ?? (await pickPaths(folder));
      if (paths === undefined || paths.length === 0) return undefined;
      return { session, paths, cwd: folder?.uri.fsPath ?? null };
    },
    progress: ({ session, paths }) => ({
      title: `Priming “${session.title}” with ${paths.length === 1 ? '1 path' : `${formatCount(paths.length)} paths`}`,
      subject: session.id,
    }),
    async perform(app, { session, paths, cwd }, signal) {
      const primed = await app.connection.call(
        'prime',
        { session: session.id, engine: session.engine, paths: [...paths], ...(cwd === null ? {} : { cwd }) },
        signal,
      );
      await app.puller.all();
      return primed;
    },
    show(app, { files, skipped, promptTokens, ms, notes }) {
      const left = skipped.length === 0 ? '' : ` ${formatCount(skipped.length)} were left out; the log says why.`;
      for (const note of notes) app.log.info(note);
      for (const { path, why } of skipped) app.log.info(`Prime left out ${path}: ${why}`);
      showDone(
        app,
        `${formatCount(files.length)} ${files.length === 1 ? 'file is' : 'files are'} in the context: ` +
          `${formatTokens(promptTokens)} in ${formatDuration(ms)}.${left}`,
      );
    },
  });
}
