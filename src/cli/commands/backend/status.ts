import type { Command } from 'commander';
import { plural, formatStamp } from '../../../words/amounts.ts';
import type { RouteOutput } from '../../../protocol/api.ts';
import { healthWords } from '../../../words/health.ts';
import { rowIf } from '../../../words/rows.ts';
import { windowRows } from '../../../words/window.ts';
import type { Perform } from '../../action.ts';
import { receiptText } from '../../receiptText.ts';
import { withCommonOptions } from '../../run.ts';
import { formatFacts } from '../../terminal/layout.ts';

export function registerStatus(program: Command, perform: Perform): void {
  withCommonOptions(program.command('status'))
    .description('show the backend and its model servers, or one window and its latest receipt')
    .argument('[window]', "the window's name")
    .action((window: string | undefined, common: object) =>
      perform(common, async (run) => {
        if (window === undefined) run.print(await run.call('health', { probe: true }), healthText);
        else run.print(await run.call('getWindow', { window }), windowText);
      }),
    );
}

function healthText(health: RouteOutput<'health'>): string {
  const { sentence, rows, engines } = healthWords(health);
  return [
    sentence,
    formatFacts(rows),
    ...engines.flatMap(({ spec, status, notices }) => [
      `${spec} ${status}`,
      ...notices.map((notice) => `  · ${notice}`),
    ]),
  ].join('\n');
}

function windowText({ manifest, summary, lineageWindows, receipts }: RouteOutput<'getWindow'>): string {
  const last = receipts.at(-1);
  return [
    `Window ${manifest.name} holds ${plural(manifest.tokens.count, 'token')} of session ${manifest.session}.`,
    formatFacts([...rowIf('Description', summary.description), ...windowRows(summary, formatStamp, lineageWindows)]),
    ...(last ? [`Its latest receipt (${last.operation}, ${formatStamp(last.at)}):`, receiptText(last)] : []),
  ].join('\n');
}
