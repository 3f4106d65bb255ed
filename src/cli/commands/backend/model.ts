import type { Command } from 'commander';
import type { RouteOutput } from '../../../protocol/api.ts';
import type { Perform } from '../../action.ts';
import { withCommonOptions, withModelOption } from '../../run.ts';

export function registerModel(program: Command, perform: Perform): void {
  const model = program.command('model').description('list the models of a model server');
  withModelOption(withCommonOptions(model.command('list')))
    .description('list the models of a server; --engine URL#model=NAME, or --model NAME, uses one of them')
    .action((common: object) =>
      perform(common, async (run) => run.print(await run.call('listModels', run.onEngine, 'Asking the server'), text)),
    );
}

function text({ used, models }: RouteOutput<'listModels'>): string {
  const lines = models.map(({ id, use }) => {
    const note = use === 'other' ? '  (not for conversations)' : '';
    return `${id === used ? '*' : ' '} ${id}${note}`;
  });
  const hint = ['', '* is used. Another: --model NAME, or #model=NAME behind the URL of --engine.'];
  return [...lines, ...(models.length > 1 ? hint : [])].join('\n');
}
