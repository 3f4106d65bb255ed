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

/** Says whether sessions of the open folder may start the MCP servers that its `.vscode/mcp.json` names. */
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
        ? `Sessions of ${name} may start the MCP servers that it names.`
        : `Sessions of ${name} start no MCP servers that it names.`,
    ),
});

async function askTrust(name: string): Promise<boolean | undefined> {
  const rows = [
    {
      label: 'Trust Its MCP Servers',
      description: 'their programs run on this machine, with your rights',
      trusted: true,
    },
    { label: 'Do Not Trust Them', description: 'the default', trusted: false },
  ];
  const placeHolder = `The MCP servers that ${name} names in .vscode/mcp.json`;
  return (await window.showQuickPick(rows, { title: commandTitles['cwm.trustFolder'], placeHolder }))?.trusted;
}
