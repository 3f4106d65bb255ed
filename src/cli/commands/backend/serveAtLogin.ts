import { homedir } from 'node:os';
import { backendCommandLine } from '../../../client/backendChild.ts';
import { makeStorageDirectory } from '../../../client/storageDirectory.ts';
import { atLogin, dontStartAtLogin, startAtLogin, thisSystem, type AtLogin } from '../../../setup/atLogin.ts';
import type { Run } from '../../run.ts';

export const loginChoices = ['on', 'off', 'show'] as const;
export type LoginChoice = (typeof loginChoices)[number];

/** Has each login start a backend of this storage directory, or no longer, or says whether it does. */
export async function serveAtLogin(run: Run, choice: LoginChoice, args: readonly string[]): Promise<void> {
  const { env } = run.terminal;
  const system = thisSystem(env['HOME'] || env['USERPROFILE'] || homedir(), env);
  switch (choice) {
    case 'on': {
      makeStorageDirectory(run.storage);
      const start = { ...run.backendStart, args };
      const command = { command: start.nodePath, args: backendCommandLine(run.storage, start), env: {} };
      run.print(await startAtLogin(system, command), ({ what, file }) =>
        [
          `The backend starts at each login: ${what}, ${file}.`,
          'It listens where clients were set up. "cwm serve --at-login off" takes it back.',
        ].join('\n'),
      );
      return;
    }
    case 'off':
      run.print(await dontStartAtLogin(system), ({ file, text }) =>
        text === null
          ? nothing
          : `Nothing starts at login any more: ${file} is gone. A backend that runs is left running.`,
      );
      return;
    case 'show':
      run.print(await atLogin(system), ({ what, file, text }: AtLogin) =>
        text === null ? nothing : `${file} (${what}):\n\n${text}`,
      );
  }
}

const nothing = 'Nothing starts at login.';
