import { formatAge } from '../../base/format.ts';
import { readableLine } from '../../base/readableText.ts';
import { folderName, plural } from '../../words/amounts.ts';
import {
  breakCauses,
  clientLimits,
  clientRows,
  computedAgain,
  reusedShare,
  sessionName,
  type GatewayClient,
} from '../../words/clients.ts';
import { markdownFacts, plain } from '../../words/markdown.ts';
import type { TreeRow } from './treeRow.ts';

/** A client of the gateway in its view. One without a token of its own has no menu. */
export function clientRow(client: GatewayClient, now: Date): TreeRow {
  const { name, project, turns, records, createdAt } = client;
  const share = reusedShare(client);
  const session = sessionName(client);
  const again = computedAgain(client);
  const causes = breakCauses(client);
  const facts = [
    ...(project === null ? [] : [folderName(project)]),
    ...(session === null ? [] : [readableLine(session)]),
    plural(turns, 'turn'),
    ...(share === null ? [] : [`${share} reused`]),
    ...(again === null ? [] : [`computed again: ${again}`]),
    ...(causes === '' ? [] : [`breaks: ${causes}`]),
    ...clientLimits(client),
  ];
  const label = readableLine(name);
  return {
    label,
    description: facts.join(' · '),
    icon: records ? 'plug' : 'eye-closed',
    iconColor: null,
    tooltip: `**${plain(name)}**\n\n${markdownFacts(clientRows(client, (stamp) => formatAge(stamp, now)))}`,
    spoken: `Client ${label}, ${facts.join(', ')}`,
    contextValue: createdAt === null ? null : records ? 'client.recorded' : 'client.unrecorded',
  };
}
