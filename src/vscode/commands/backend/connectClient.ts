import path from 'node:path';
import { UIKind, commands, env, window, type QuickPickItem } from 'vscode';
import { formatAge } from '../../../base/format.ts';
import { readableText } from '../../../base/readableText.ts';
import { inBackground } from '../../../base/inBackground.ts';
import { clientConfigs } from '../../../setup/clientConfigs.ts';
import {
  firstAnswer,
  planConnection,
  undoConnection,
  type ConnectDesk,
  type ConnectPlan,
} from '../../../setup/clientConnection.ts';
import type { App } from '../../app.ts';
import { commandTitles, type CommandId } from '../../contributions.ts';
import { documentUri } from '../../documents/documentUri.ts';
import { showDone, showDoneWith } from '../../ui/notifications.ts';
import { withProgress } from '../../ui/progress.ts';
import { command } from '../command.ts';

const waitMs = 120_000;
const make = 'Make This Change';
const makeToken = 'Make a Token';

/** Sets another program up for the gateway: shows the change to its own configuration, makes it on yes, and waits for its first request. */
export const connectClient = command('cwm.connectClient', {
  async ask(app, { client, confirmed }): Promise<{ client: string; plan: ConnectPlan } | undefined> {
    const chosen = client ?? (await pickClient(app));
    if (chosen === undefined) return undefined;
    const plan = await planConnection(deskOf(app), { kind: chosen });
    const isWanted = confirmed === true || (await agreed(app, plan));
    return isWanted ? { client: chosen, plan } : undefined;
  },
  async perform(app, { client, plan }) {
    const hint = await plan.make();
    inBackground(app.log, 'Saying how to use a client', tellHow(hint));
    inBackground(app.log, 'Waiting for a client', tellWhetherItWorks(app, client, plan));
    return undefined;
  },
});

export const disconnectClient = command('cwm.disconnectClient', {
  async ask(app, { client }) {
    const chosen = client ?? (await pickClient(app));
    return chosen === undefined ? undefined : { client: chosen };
  },
  async perform(app, { client }) {
    const { label, file, isUnknown, isInUse } = await undoConnection(deskOf(app), client);
    if (isInUse) {
      const why = `${file} names the gateway, but nothing says what it was before, so the file and its token stay.`;
      showDone(app, `${why} Correct it by hand, then revoke the token in the view Clients.`);
      return undefined;
    }
    const said =
      file === null || isUnknown ? 'Its token does not work any more.' : `${file} has nothing of the gateway any more.`;
    showDone(app, `${label} is disconnected. ${said}`);
    return undefined;
  },
});

/** The folder of the user's files: the extension's storage is two folders below it. */
function deskOf(app: App): ConnectDesk {
  const isElsewhere = env.uiKind === UIKind.Desktop && env.remoteName !== undefined;
  const userFiles = path.dirname(path.dirname(app.context.globalStorageUri.fsPath));
  return {
    call: (route, input) => app.connection.call(route, input),
    env: process.env,
    codeUser: isElsewhere ? null : userFiles,
  };
}

async function pickClient(app: App): Promise<string | undefined> {
  const rows = app.connection.call('gatewayClients', {}).then(({ items }) => {
    const now = new Date();
    return Object.entries(clientConfigs).map(([kind, { label }]): QuickPickItem & { readonly kindOfClient: string } => {
      const known = items.find(({ name, createdAt }) => name === kind && createdAt !== null);
      const used = known?.lastRequestAt ?? null;
      const state = used === null ? 'no request yet' : `last request ${formatAge(used, now)}`;
      return { label, description: known ? `set up · ${state}` : '', kindOfClient: kind };
    });
  });
  const picked = await window.showQuickPick(rows, {
    title: commandTitles['cwm.connectClient'],
    placeHolder: 'Its conversations become sessions here; its requests go to your model server as before',
  });
  return picked?.kindOfClient;
}

/** Shows the change in the diff editor. Closing the question is no. */
async function agreed(app: App, { label, change }: ConnectPlan): Promise<boolean> {
  if (!change) return (await window.showInformationMessage(`Make a token for ${label}?`, makeToken)) === makeToken;
  const { file, before, after } = change;
  app.reports.change = { before: before ?? '', after };
  const name = path.basename(file);
  // Each plan has a document of its own: VS Code would show the text of an earlier one.
  const id = String(Date.now());
  await commands.executeCommand(
    'vscode.diff',
    documentUri('change', name, `before/${id}`),
    documentUri('change', name, `after/${id}`),
    `${name}: ${before === null ? 'new file' : 'now'} ↔ with the gateway`,
  );
  const question = `Set ${label} up for the gateway? This changes ${file}. "${commandTitles['cwm.disconnectClient']}" takes it back.`;
  return (await window.showInformationMessage(question, make)) === make;
}

async function tellHow(hint: string): Promise<void> {
  const line = /^Run: (.+)$/s.exec(hint)?.[1];
  const copy = 'Copy Command';
  const login = commandTitles['cwm.startAtLogin'];
  const answer = await window.showInformationMessage(hint, ...(line === undefined ? [] : [copy]), login);
  if (answer === copy && line !== undefined) await env.clipboard.writeText(line);
  if (answer === login) await commands.executeCommand('cwm.startAtLogin' satisfies CommandId);
}

async function tellWhetherItWorks(app: App, client: string, { label, before }: ConnectPlan): Promise<void> {
  const never = new AbortController().signal;
  const title = `Waiting for the first request of ${label}`;
  let refused = '';
  const said = await withProgress(app, { title }, async ({ signal = never, onProgress }) => {
    const onRefused = (why: string): void => {
      refused = `${label} asked, and got an error: ${why}`;
      onProgress?.(refused);
    };
    if (await firstAnswer(deskOf(app), client, before, { signal, mostMs: waitMs, onRefused }))
      return `${label} works: its request was answered.`;
    return signal.aborted
      ? null
      : refused || `No request of ${label} came within two minutes. It is set up all the same.`;
  });
  if (said !== null) showDoneWith(app, readableText(said), 'cwm.startAtLogin');
}
