import type { Command } from 'commander';
import type { Usage } from '../../../protocol/schemas/space.ts';
import { usageWords } from '../../../words/usage.ts';
import type { Perform } from '../../action.ts';
import { withCommonOptions } from '../../run.ts';
import { formatFacts, formatTable } from '../../terminal/layout.ts';

export function registerUsage(program: Command, perform: Perform): void {
  withCommonOptions(program.command('usage'))
    .description('show what takes the disk space, in total and for each window; shared KV counts once')
    .action((common: object) =>
      perform(common, async (run) => run.print(await run.call('usage', {}, 'Measuring'), text)),
    );
}

function text(usage: Usage): string {
  const { rows, windows } = usageWords(usage, new Date());
  return [formatFacts(rows), ...(windows === null ? [] : [formatTable(windows)])].join('\n');
}
