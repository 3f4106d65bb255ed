import { env, window } from 'vscode';
import { CwmError } from '../../../protocol/errors.ts';
import type { App } from '../../app.ts';
import { commandTitles, type CommandId } from '../../contributions.ts';
import { inBackground } from '../../../base/inBackground.ts';
import { clientRow } from '../../render/clientRow.ts';
import { showDone } from '../../ui/notifications.ts';
import { command } from '../command.ts';

/** Gives a client another token. Nobody sees it but the clipboard: it goes into the client's own configuration. */
export const rotateToken = command('cwm.rotateToken', {
  ask: (app, { client }) => named(app, client, 'cwm.rotateToken'),
  async perform(app, { client }) {
    const { token } = await app.connection.call('putGatewayClient', { name: client });
    inBackground(app.log, 'Offering a token', offerToken(client, token ?? ''));
    return undefined;
  },
});

async function offerToken(client: string, token: string): Promise<void> {
  const copy = 'Copy Token';
  const said = `${client} has another token; the earlier one does not work any more. It is shown nowhere else: put it into the configuration of ${client}.`;
  if ((await window.showInformationMessage(said, copy)) === copy) await env.clipboard.writeText(token);
}

const recording = (id: 'cwm.recordClient' | 'cwm.dontRecordClient', records: boolean) =>
  command(id, {
    ask: (app, { client }) => named(app, client, id),
    async perform(app, { client }) {
      await app.connection.call('putGatewayClient', { name: client, records, rotate: false });
      showDone(
        app,
        records ? `Conversations of ${client} become sessions.` : `Conversations of ${client} are not recorded.`,
      );
      return undefined;
    },
  });

export const recordClient = recording('cwm.recordClient', true);
export const dontRecordClient = recording('cwm.dontRecordClient', false);

export const revokeClient = command('cwm.revokeClient', {
  async ask(app, { client, confirmed }) {
    const request = await named(app, client, 'cwm.revokeClient');
    if (request === undefined || confirmed === true) return request;
    const yes = 'Revoke';
    const detail = 'Its requests are refused from now on. Its sessions stay, and so does its configuration.';
    const question = `Revoke the token of ${request.client}?`;
    return (await window.showWarningMessage(question, { modal: true, detail }, yes)) === yes ? request : undefined;
  },
  async perform(app, { client }) {
    await app.connection.call('deleteGatewayClient', { name: client });
    showDone(app, `The token of ${client} does not work any more.`);
    return undefined;
  },
});

/** A client with a token of its own: the one that is named, else one that the user chooses. @throws CwmError where there is none. */
async function named(app: App, client: string | undefined, id: CommandId): Promise<{ client: string } | undefined> {
  if (client !== undefined) return { client };
  const { items } = await app.connection.call('gatewayClients', {});
  const own = items.filter(({ createdAt }) => createdAt !== null);
  if (own.length === 0) {
    throw new CwmError('InvalidParameter', 'No client has a token of its own.', {
      hint: `"${commandTitles['cwm.connectClient']}" sets one up.`,
    });
  }
  const now = new Date();
  const rows = own.map((item) => ({ label: item.name, description: clientRow(item, now).description }));
  const picked = await window.showQuickPick(rows, { title: commandTitles[id] });
  return picked && { client: picked.label };
}
