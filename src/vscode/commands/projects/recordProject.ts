import { recordedSentence } from '../../../words/session.ts';
import { showDone } from '../../ui/notifications.ts';
import { command } from '../command.ts';
import { openFolderOf } from './openFolderOf.ts';

/** Says for good whether anything of a project is saved without being asked for. The tree shows it. */
const recording = (id: 'cwm.recordProject' | 'cwm.dontRecordProject', recorded: boolean) =>
  command(id, {
    ask: async (app, { project }) => ({ project: project ?? (await openFolderOf(app)).uri }),
    perform: (app, { project }, call) => app.connection.call('recordProject', { project, recorded }, call),
    show: (app, said) => showDone(app, recordedSentence(said)),
  });

export const recordProject = recording('cwm.recordProject', true);
export const dontRecordProject = recording('cwm.dontRecordProject', false);
