import type { Command } from 'commander';
import { formatAge, formatBytes, formatCount } from '../../../base/format.ts';
import { restoreBackup } from '../../../client/restoreBackup.ts';
import type { RouteOutput } from '../../../protocol/api.ts';
import { plural } from '../../../words/amounts.ts';
import type { Perform } from '../../action.ts';
import { withCommonOptions } from '../../run.ts';
import { formatTable } from '../../terminal/layout.ts';

type Backups = RouteOutput<'listBackups'>;

export function registerBackup(program: Command, perform: Perform): void {
  const backup = program
    .command('backup')
    .description('list and restore backups of all records, which an update of the storage format makes');
  withCommonOptions(backup.command('list'))
    .description('list the backups, the latest first')
    .action((common: object) =>
      perform(common, async (run) => run.print(await run.call('listBackups', {}, 'Looking'), listText)),
    );
  withCommonOptions(backup.command('restore'))
    .description(
      'put the records of a backup in place of the current ones, which become a backup; the backend restarts',
    )
    .argument('<backup>', 'its id, as "cwm backup list" shows it')
    .action((id: string, common: object) =>
      perform(common, async (run) => {
        const options = { storage: run.storage, kind: 'cli', start: run.backendStart } as const;
        run.print(await restoreBackup(options, id, run.terminal.interrupted), (backups) => restoredText(id, backups));
      }),
    );
}

function listText({ items }: Backups): string {
  if (items.length === 0) return 'There are no backups. An update of the storage format makes one.';
  const now = new Date();
  return formatTable({
    head: ['Backup', 'Created', 'Format', 'Sessions', 'Windows', 'Size'],
    rows: items.map(({ id, createdAt, format, sessions, windows, sizeBytes }) => [
      id,
      formatAge(createdAt, now),
      format === null ? 'damaged' : String(format),
      formatCount(sessions),
      formatCount(windows),
      formatBytes(sizeBytes),
    ]),
  });
}

function restoredText(id: string, { items }: Backups): string {
  const restored = items.find((item) => item.id === id);
  const before = items.find((item) => item.id.startsWith('before-restore-'));
  const what = restored ? `: ${plural(restored.sessions, 'session')}, ${plural(restored.windows, 'window')}` : '';
  return [`Restored the backup ${id}${what}.`, ...(before ? [`To go back: cwm backup restore ${before.id}`] : [])].join(
    '\n',
  );
}
