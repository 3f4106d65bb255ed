import type { Command } from 'commander';
import type { RouteOutput } from '../../../protocol/api.ts';
import { plural } from '../../../words/amounts.ts';
import type { Perform } from '../../action.ts';
import { exitCodes } from '../../failure.ts';
import { withCommonOptions } from '../../run.ts';

export function registerAudit(program: Command, perform: Perform): void {
  const audit = program.command('audit').description('the log of who changed what');
  withCommonOptions(audit.command('verify'))
    .description('check that no entry of the audit log was changed, moved or removed')
    .option('--known <entry>', 'an entry that an earlier check printed; detects a log that was rewritten from scratch')
    .action(({ known, ...common }: { known?: string }) =>
      perform(common, async (run) => {
        const report = await run.call('verifyAudit', { known }, 'Checking');
        run.print(report, text);
        return report.healthy ? exitCodes.ok : exitCodes.failed;
      }),
    );
}

function text({ healthy, entries, head, problems }: RouteOutput<'verifyAudit'>): string {
  const lines = problems.map(({ file, line, what }) => `✗ ${file}${line > 0 ? ` line ${line}` : ''}: ${what}`);
  const found = plural(entries, 'entry', 'entries');
  return [
    healthy ? `${found}, all as they were written.` : `${found}, ${plural(problems.length, 'problem')}.`,
    ...lines,
    ...(head ? [`The last entry is ${head.sequence}:${head.hash}`] : []),
  ].join('\n');
}
