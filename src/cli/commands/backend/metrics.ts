import type { Command } from 'commander';
import type { RouteOutput } from '../../../protocol/api.ts';
import type { Perform } from '../../action.ts';
import { withCommonOptions } from '../../run.ts';
import { formatTable } from '../../terminal/layout.ts';

export function registerMetrics(program: Command, perform: Perform): void {
  withCommonOptions(program.command('metrics'))
    .description("show the backend's figures and what needs a look; --prometheus prints them as Prometheus reads them")
    .option('--prometheus', 'in the text format of Prometheus')
    .action(({ prometheus, ...common }: { readonly prometheus?: boolean }) =>
      perform(common, async (run) => {
        if (prometheus) run.print(await run.call('prometheus', {}), ({ text }) => text.trimEnd());
        else run.print(await run.call('metrics', {}, 'Measuring'), metricsText);
      }),
    );
}

function metricsText({ metrics, alerts }: RouteOutput<'metrics'>): string {
  const figures = metrics
    .filter(({ type }) => type !== 'histogram')
    .flatMap(({ values }) =>
      values.map(({ name, labels, value }) => [name, Object.values(labels).join(', '), String(value)]),
    );
  return [
    formatTable({
      head: ['Needs a look', 'Value', 'What it counts'],
      rows: alerts.map(({ name, what, value, level }) => [
        `${name}: ${level ?? 'unknown'}`,
        value === null ? '?' : String(Math.round(value * 10) / 10),
        what,
      ]),
    }),
    formatTable({ head: ['Figure', 'Of', 'Value'], rows: figures }),
  ].join('\n');
}
