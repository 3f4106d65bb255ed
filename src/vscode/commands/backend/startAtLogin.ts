import { homedir } from 'node:os';
import { window } from 'vscode';
import { atLogin, dontStartAtLogin, startAtLogin as start, thisSystem } from '../../../setup/atLogin.ts';
import { commandTitles } from '../../contributions.ts';
import { loginStart } from '../../connection/findBackend.ts';
import { showDone } from '../../ui/notifications.ts';
import { command } from '../command.ts';

const system = () => thisSystem(homedir(), process.env);

/** Has each login start a backend, so that the gateway's clients find it before VS Code runs; or no longer. */
export const startAtLogin = command('cwm.startAtLogin', {
  async ask(_app, { on }): Promise<{ on: boolean } | undefined> {
    if (on !== undefined) return { on };
    const { text, file, what } = await atLogin(system());
    const [turnOn, turnOff] = ['Start at Login', "Don't Start at Login"];
    const said =
      text === null
        ? `Start the backend each time that you log in? Clients of the gateway then find it without VS Code. This writes ${what}, ${file}.`
        : `The backend starts each time that you log in: ${what}, ${file}.`;
    const choice = text === null ? turnOn : turnOff;
    const answer = await window.showInformationMessage(
      commandTitles['cwm.startAtLogin'],
      { modal: true, detail: said },
      choice,
    );
    return answer === undefined ? undefined : { on: answer === turnOn };
  },
  async perform(app, { on }) {
    if (!on) await dontStartAtLogin(system());
    else await start(system(), loginStart(app.context));
    return undefined;
  },
  show: (app, _done, { on }) =>
    showDone(app, on ? 'The backend starts at each login.' : 'Nothing starts at login any more.'),
});
