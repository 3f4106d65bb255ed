import { window } from 'vscode';
import { CwmError } from '../../../protocol/errors.ts';
import type { App } from '../../app.ts';
import { commandTitles } from '../../contributions.ts';
import { showDone } from '../../ui/notifications.ts';
import { command } from '../command.ts';

interface Request {
  readonly project: string;
  readonly name: string;
  readonly trusted: boolean;
}

/** Says whether the open folder may choose model server, model and tools of its new sessions, and name MCP servers that they start. */
export const trustFolder = command('cwm.trustFolder', {
  async ask(app: App, { trusted: given }): Promise<Request | undefined> {
    await app.project.settled;
    const { project } = app.state.current;
    if (project.kind !== 'folder') throw new CwmError('InvalidParameter', 'No folder is open.');
    const trusted = given ?? (await askTrust(project.name));
    return trusted === undefined ? undefined : { project: project.uri, name: project.name, trusted };
  },
  perform: (app, { project, trusted }: Request, call) =>
    app.connection.call('trustProject', { project, trusted }, call),
  show: (app, { trusted }, { name }) =>
    showDone(
      app,
      trusted
        ? `${name} may choose the model server, model and tools of its new sessions. They may start the MCP servers that it names.`
        : `${name} chooses no model server, model or tools. Its sessions start no MCP servers that it names.`,
    ),
});

async function askTrust(name: string): Promise<boolean | undefined> {
  const rows = [
    {
      label: 'Trust This Folder',
      description:
        'its MCP servers run with your rights, its model server gets your conversations and key, its tools may run unasked',
      trusted: true,
    },
    { label: 'Do Not Trust It', description: 'the default', trusted: false },
  ];
  const placeHolder = `What ${name} says in .vscode/mcp.json and .cwm/config.json`;
  return (await window.showQuickPick(rows, { title: commandTitles['cwm.trustFolder'], placeHolder }))?.trusted;
}
