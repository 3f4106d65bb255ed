import path from 'node:path';
import { alreadyRunningExitCode } from '../protocol/backendRecord.ts';

/** The process that a login starts. */
export interface LoginStart {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export interface LoginPlaces {
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** How one system starts a program when its user logs in. */
export interface LoginPlatform {
  /** What the file is, for people. */
  readonly what: string;
  /** Where the file lies. */
  readonly file: (places: LoginPlaces) => string;
  /** The whole file. */
  readonly text: (start: LoginStart, places: LoginPlaces) => string;
  /** One argument of the command as it stands in the file, with what ends it. */
  readonly word: (argument: string) => string;
  readonly encoding: 'utf8' | 'utf16le';
  /** A link to the file, in which the system sees that it is on. */
  readonly link?: (places: LoginPlaces) => { readonly path: string; readonly target: string };
  /** Command that tells the system that the file is there; null: it looks by itself. */
  readonly on: ((file: string) => readonly string[]) | null;
  /** Command that tells the system that the file is gone. */
  readonly off: readonly string[] | null;
  /** Whether nothing starts without the commands: a failure of theirs is one of the whole. */
  readonly needsCommand: boolean;
}

const name = 'context-window-manager';
const label = 'com.context-window-manager.backend';
const task = 'Context Window Manager';

const xml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** One word of a systemd unit: `%` begins a specifier and `$` a variable there. */
const unitWord = (word: string): string =>
  `"${word.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%').replaceAll('$', '$$$$')}"`;

/** One word of a Windows command line, as the C runtime reads it. */
const windowsWord = (word: string): string =>
  `"${word.replaceAll(/(\\*)"/g, String.raw`$1$1\"`).replace(/(\\+)$/, '$1$1')}"`;

const systemdFolder = ({ home, env }: LoginPlaces): string =>
  path.join(env['XDG_CONFIG_HOME'] || path.join(home, '.config'), 'systemd', 'user');

const systemd: LoginPlatform = {
  what: 'a systemd user unit',
  file: (places) => path.join(systemdFolder(places), `${name}.service`),
  encoding: 'utf8',
  link: (places) => ({
    path: path.join(systemdFolder(places), 'default.target.wants', `${name}.service`),
    target: path.join('..', `${name}.service`),
  }),
  text: ({ command, args, env }) =>
    [
      '[Unit]',
      'Description=Context Window Manager: the gateway to your model server',
      '',
      '[Service]',
      ...Object.entries(env).map(([key, value]) => `Environment=${unitWord(`${key}=${value}`)}`),
      `ExecStart=${[command, ...args].map(unitWord).join(' ')}`,
      // Another backend was there first.
      `SuccessExitStatus=${alreadyRunningExitCode}`,
      'Restart=on-failure',
      'RestartSec=10',
      'UMask=0077',
      '',
      '[Install]',
      'WantedBy=default.target',
      '',
    ].join('\n'),
  word: unitWord,
  on: () => ['systemctl', '--user', 'daemon-reload'],
  off: ['systemctl', '--user', 'daemon-reload'],
  // It looks at the next login, too.
  needsCommand: false,
};

const agentWord = (word: string): string => `<string>${xml(word)}</string>`;

const launchd: LoginPlatform = {
  what: 'a launchd agent',
  file: ({ home }) => path.join(home, 'Library', 'LaunchAgents', `${label}.plist`),
  encoding: 'utf8',
  text: ({ command, args, env }) =>
    [
      '<?xml version="1.0" encoding="UTF-8"?>',
      '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
      '<plist version="1.0">',
      '<dict>',
      '  <key>Label</key>',
      `  <string>${label}</string>`,
      '  <key>ProgramArguments</key>',
      '  <array>',
      ...[command, ...args].map((word) => `    ${agentWord(word)}`),
      '  </array>',
      ...(Object.keys(env).length === 0
        ? []
        : [
            '  <key>EnvironmentVariables</key>',
            '  <dict>',
            ...Object.entries(env).flatMap(([key, value]) => [
              `    <key>${xml(key)}</key>`,
              `    <string>${xml(value)}</string>`,
            ]),
            '  </dict>',
          ]),
      '  <key>RunAtLoad</key>',
      '  <true/>',
      '  <key>ProcessType</key>',
      '  <string>Background</string>',
      '</dict>',
      '</plist>',
      '',
    ].join('\n'),
  word: agentWord,
  // launchd reads the folder at each login.
  on: null,
  off: null,
  needsCommand: false,
};

const taskScheduler: LoginPlatform = {
  what: 'a task of the Task Scheduler',
  file: ({ home, env }) => path.join(env['LOCALAPPDATA'] || path.join(home, 'AppData', 'Local'), name, 'at-login.xml'),
  encoding: 'utf16le',
  text: ({ command, args, env }, { env: own }) => {
    const user = [own['USERDOMAIN'], own['USERNAME']].filter((part) => part).join('\\');
    const line = [command, ...args].map(windowsWord).join(' ');
    const sets = Object.entries(env).map(([key, value]) => `set "${key}=${value}"&& `);
    // A task cannot set variables. cmd.exe removes the outer quotes of what stands behind /c.
    const shown = sets.length === 0 ? line : `cmd.exe /d /c "${sets.join('')}${line}"`;
    return [
      '<?xml version="1.0" encoding="UTF-16"?>',
      '<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">',
      '  <RegistrationInfo>',
      '    <Description>Context Window Manager: the gateway to your model server</Description>',
      '  </RegistrationInfo>',
      '  <Triggers>',
      '    <LogonTrigger>',
      '      <Enabled>true</Enabled>',
      // A trigger for every user needs an administrator.
      `      <UserId>${xml(user)}</UserId>`,
      '    </LogonTrigger>',
      '  </Triggers>',
      '  <Settings>',
      '    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>',
      '    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>',
      '    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>',
      '    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>',
      '    <Hidden>true</Hidden>',
      '  </Settings>',
      '  <Actions>',
      '    <Exec>',
      // It gives the process a console without a window.
      '      <Command>conhost.exe</Command>',
      `      <Arguments>--headless ${xml(shown)}</Arguments>`,
      '    </Exec>',
      '  </Actions>',
      '</Task>',
      '',
    ].join('\r\n');
  },
  word: (argument) => xml(windowsWord(argument)),
  on: (file) => ['schtasks.exe', '/Create', '/F', '/TN', task, '/XML', file],
  off: ['schtasks.exe', '/Delete', '/F', '/TN', task],
  needsCommand: true,
};

/** By Node's name of the platform. */
export const loginPlatforms: Readonly<Record<string, LoginPlatform>> = {
  linux: systemd,
  darwin: launchd,
  win32: taskScheduler,
};
