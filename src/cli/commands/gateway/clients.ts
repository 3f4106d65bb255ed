import { Argument, type Command } from 'commander';
import { formatAge, formatCount } from '../../../base/format.ts';
import type { RouteOutput } from '../../../protocol/api.ts';
import { breakCauses, computedAgain, reusedShare } from '../../../words/clients.ts';
import type { Perform } from '../../action.ts';
import { withCommonOptions } from '../../run.ts';
import { formatTable } from '../../terminal/layout.ts';

type Listed = RouteOutput<'gatewayClients'>;
type Put = RouteOutput<'putGatewayClient'>;

export function registerClients(program: Command, perform: Perform): void {
  const clients = withCommonOptions(program.command('clients'))
    .description('programs that talk to the model server through the gateway, and what was reused for them')
    .action((common: object) =>
      perform(common, async (run) => run.print(await run.call('gatewayClients', {}), listText)),
    );
  withCommonOptions(clients.command('add'))
    .description('make a client and print its token, which is shown only now')
    .argument('<name>', 'letters, digits, "_" and "-"')
    .option('--dont-record', 'its conversations pass and become no sessions')
    .action((name: string, options: { readonly dontRecord?: boolean }) =>
      perform(options, async (run) => {
        const records = options.dontRecord !== true;
        await run.call('openGateway', {});
        run.print(await run.call('putGatewayClient', { name, records }), tokenText);
      }),
    );
  withCommonOptions(clients.command('rotate'))
    .description('give a client another token; the earlier one stops working')
    .argument('<name>')
    .action((name: string, common: object) =>
      perform(common, async (run) => run.print(await run.call('putGatewayClient', { name }), tokenText)),
    );
  withCommonOptions(clients.command('record'))
    .description('say whether the conversations of a client become sessions')
    .argument('<name>')
    .addArgument(new Argument('<choice>', 'on or off').choices(['on', 'off']))
    .action((name: string, choice: string, common: object) =>
      perform(common, async (run) => {
        const records = choice === 'on';
        run.print(await run.call('putGatewayClient', { name, records, rotate: false }), (put) =>
          put.records ? `Conversations of ${name} become sessions.` : `Conversations of ${name} are not recorded.`,
        );
      }),
    );
  withCommonOptions(clients.command('revoke'))
    .description("stop a client's token from working; its sessions stay")
    .argument('<name>')
    .action((name: string, common: object) =>
      perform(common, async (run) => {
        await run.call('deleteGatewayClient', { name });
        run.print({ name }, () => `The token of ${name} does not work any more.`);
      }),
    );
}

const tokenText = ({ name, token, url }: Put): string =>
  [
    `The token of ${name}, which is shown only now: ${token}`,
    url === null
      ? 'The gateway does not listen. "cwm connect" opens it.'
      : `Base URL: ${url}/v1, or ${url}/p/PROJECT/v1 for a project.`,
  ].join('\n');

function listText({ url, items }: Listed): string {
  const where =
    url === null ? 'The gateway does not listen. "cwm connect" opens it.' : `The gateway listens at ${url}.`;
  if (items.length === 0) return `${where}\nNo client has used it since the backend started.`;
  const now = new Date();
  const rows = items.map((item) => [
    item.name,
    item.project ?? '–',
    String(item.sessions),
    String(item.turns),
    reusedShare(item) ?? '–',
    formatCount(item.promptTokens - item.cachedTokens),
    computedAgain(item) ?? '0',
    breakCauses(item) || '0',
    item.lastRequestAt === null ? 'never' : formatAge(item.lastRequestAt, now),
    item.records ? '' : 'not recorded',
  ]);
  const head = ['Client', 'Project', 'Sessions', 'Turns', 'Reused', 'Computed', 'Again', 'Breaks', 'Last request', ''];
  const last = items.flatMap(({ name, lastBreak }) => (lastBreak === null ? [] : [`${name}: ${lastBreak}.`]));
  return [where, '', formatTable({ head, rows }), ...(last.length === 0 ? [] : ['', ...last])].join('\n');
}
