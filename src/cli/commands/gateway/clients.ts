import { Argument, type Command } from 'commander';
import { readableLine } from '../../../base/readableText.ts';
import { formatAge, formatCount } from '../../../base/format.ts';
import type { RouteOutput } from '../../../protocol/api.ts';
import { toolRights, type ToolRight } from '../../../protocol/routes/gateway.ts';
import { folderWords } from '../../../words/amounts.ts';
import { breakCauses, clientLimits, computedAgain, reusedShare, sessionName } from '../../../words/clients.ts';
import type { Perform } from '../../action.ts';
import { withCommonOptions } from '../../run.ts';
import { formatTable } from '../../terminal/layout.ts';

type Listed = RouteOutput<'gatewayClients'>;
type Put = RouteOutput<'putGatewayClient'>;

/** Of a client's sessions whose last answer is not stored, so many are named. */
const mostNamed = 10;

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
    .option('--read-only', 'over MCP, it may call only the tools that change nothing')
    .action((name: string, options: { readonly dontRecord?: boolean; readonly readOnly?: boolean }) =>
      perform(options, async (run) => {
        const records = options.dontRecord !== true;
        await run.call('openGateway', {});
        const tools = options.readOnly ? { tools: 'read' as const } : {};
        run.print(await run.call('putGatewayClient', { name, records, ...tools }), tokenText);
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
  withCommonOptions(clients.command('tools'))
    .description('say which tools a client may call over MCP: all, or those that change nothing')
    .argument('<name>')
    .addArgument(new Argument('<choice>', 'all or read').choices(toolRights))
    .action((name: string, tools: ToolRight, common: object) =>
      perform(common, async (run) => {
        run.print(await run.call('putGatewayClient', { name, tools, rotate: false }), () =>
          tools === 'all' ? `${name} may call every tool.` : `${name} may call only the tools that change nothing.`,
        );
      }),
    );
  withCommonOptions(clients.command('revoke'))
    .description("stop a client's token from working, and end its connections over MCP; its sessions stay")
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
    item.project === null ? '–' : folderWords(item.project),
    readableLine(sessionName(item) ?? '–').slice(0, 40),
    String(item.sessions),
    String(item.turns),
    reusedShare(item) ?? '–',
    formatCount(item.promptTokens - item.cachedTokens),
    computedAgain(item) ?? '0',
    breakCauses(item) || '0',
    item.lastRequestAt === null ? 'never' : formatAge(item.lastRequestAt, now),
    clientLimits(item).join(', '),
  ]);
  const head = [
    'Client',
    'Project',
    'Last session',
    'Sessions',
    'Turns',
    'Reused',
    'Computed',
    'Again',
    'Breaks',
    'Last request',
    '',
  ];
  const last = items.flatMap(({ name, lastBreak }) => (lastBreak === null ? [] : [`${name}: ${lastBreak}.`]));
  const missing = items.flatMap(({ name, unrecorded = [] }) => [
    ...unrecorded
      .slice(0, mostNamed)
      .map(({ session, why }) => `${name}: the last answer of ${session} is not stored. ${why}`),
    ...(unrecorded.length > mostNamed ? [`${name}: so it is with ${unrecorded.length - mostNamed} more.`] : []),
  ]);
  const notes = [...last, ...missing];
  return [where, '', formatTable({ head, rows }), ...(notes.length === 0 ? [] : ['', ...notes])].join('\n');
}
