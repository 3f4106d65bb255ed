import { CwmError } from '../../../protocol/errors.ts';
import type { ProjectUri } from '../../../protocol/ids.ts';
import type { App } from '../../app.ts';

/** The project of the folder that the user works in. @throws CwmError InvalidParameter without one. */
export async function openFolderOf(app: App): Promise<{ readonly uri: ProjectUri; readonly name: string }> {
  await app.project.settled;
  const { project } = app.state.current;
  if (project.kind === 'folder') return project;
  throw new CwmError('InvalidParameter', 'No folder is open.', { hint: 'Open the folder of the project first.' });
}
