import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { atLogin, dontStartAtLogin, renewAtLogin, startAtLogin, type LoginSystem } from '../../src/setup/atLogin.ts';
import { loginPlatforms } from '../../src/setup/loginPlatforms.ts';
import { temporaryDirectories } from '../backend/support/temporaryDirectory.ts';

const makeDirectory = temporaryDirectories();
const places = { home: '/home/me', env: {} };
const start = {
  command: '/opt/my node/node',
  args: ['/lib/backend.js', '--storage', '/data/50%$HOME"q"'],
  env: { ELECTRON_RUN_AS_NODE: '1' },
};
const textOn = (platform: string, env: LoginSystem['env'] = {}): string =>
  loginPlatforms[platform]?.text(start, { ...places, env }) ?? '';

describe('what a login starts', () => {
  test('on Linux: a systemd user unit whose words are taken as they are', () => {
    expect(loginPlatforms['linux']?.file(places)).toBe('/home/me/.config/systemd/user/context-window-manager.service');
    expect(textOn('linux')).toBe(`[Unit]
Description=Context Window Manager: the gateway to your model server

[Service]
Environment="ELECTRON_RUN_AS_NODE=1"
ExecStart="/opt/my node/node" "/lib/backend.js" "--storage" "/data/50%%$$HOME\\"q\\""
SuccessExitStatus=75
Restart=on-failure
RestartSec=10
UMask=0077

[Install]
WantedBy=default.target
`);
  });

  test('on macOS: a launchd agent', () => {
    expect(loginPlatforms['darwin']?.file(places)).toBe(
      '/home/me/Library/LaunchAgents/com.context-window-manager.backend.plist',
    );
    expect(textOn('darwin')).toBe(`<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>com.context-window-manager.backend</string>
  <key>ProgramArguments</key>
  <array>
    <string>/opt/my node/node</string>
    <string>/lib/backend.js</string>
    <string>--storage</string>
    <string>/data/50%$HOME&quot;q&quot;</string>
  </array>
  <key>EnvironmentVariables</key>
  <dict>
    <key>ELECTRON_RUN_AS_NODE</key>
    <string>1</string>
  </dict>
  <key>RunAtLoad</key>
  <true/>
  <key>ProcessType</key>
  <string>Background</string>
</dict>
</plist>
`);
  });

  test('on Windows: a task of this user, without a window', () => {
    const windows = loginPlatforms['win32'];
    const env = { LOCALAPPDATA: 'C:\\Users\\me\\AppData\\Local', USERDOMAIN: 'PC', USERNAME: 'me' };
    expect(windows?.file({ home: 'home', env })).toBe(
      path.join(env.LOCALAPPDATA, 'context-window-manager', 'at-login.xml'),
    );
    const own = { command: 'C:\\Program Files\\node.exe', args: ['b.js', '--storage', 'C:\\d & "x"\\'], env: {} };
    expect(windows?.text(own, { home: '', env })).toBe(
      `<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>Context Window Manager: the gateway to your model server</Description>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger>
      <Enabled>true</Enabled>
      <UserId>PC\\me</UserId>
    </LogonTrigger>
  </Triggers>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <Hidden>true</Hidden>
  </Settings>
  <Actions>
    <Exec>
      <Command>conhost.exe</Command>
      <Arguments>--headless &quot;C:\\Program Files\\node.exe&quot; &quot;b.js&quot; &quot;--storage&quot; &quot;C:\\d &amp; \\&quot;x\\&quot;\\\\&quot;</Arguments>
    </Exec>
  </Actions>
</Task>
`.replaceAll('\n', '\r\n'),
    );
    expect(textOn('win32')).toContain('cmd.exe /d /c &quot;set &quot;ELECTRON_RUN_AS_NODE=1&quot;&amp;&amp; ');
  });
});

/** A system of the test's own, with what it was told. */
function systemOf(platform: string, more: Partial<LoginSystem> = {}) {
  const home = makeDirectory();
  const told: string[] = [];
  const run = async (command: readonly string[]): Promise<void> => void told.push(command.join(' '));
  return { system: { home, env: { LOCALAPPDATA: home }, platform, hasSystemd: true, run, ...more }, told, home };
}

describe('start at login', () => {
  test.each([
    ['linux', 'systemctl --user daemon-reload', 'systemctl --user daemon-reload'],
    ['darwin', undefined, undefined],
  ])('%s: on, again and off leave nothing behind', async (platform, on, off) => {
    const { system, told, home } = systemOf(platform);
    expect((await atLogin(system)).text).toBeNull();
    const { file, text } = await startAtLogin(system, start);
    expect(await startAtLogin(system, start)).toEqual({ file, text, what: expect.any(String) as unknown });
    expect((await atLogin(system)).text).toBe(text);
    await dontStartAtLogin(system);
    expect(told).toEqual([on, on, off].filter((command) => command !== undefined));
    const left = readdirSync(home, { recursive: true, withFileTypes: true }).filter((entry) => !entry.isDirectory());
    expect(left.map(({ name }) => name)).toEqual([]);
    expect((await dontStartAtLogin(system)).text).toBeNull();
  });

  test('Linux: the unit is wanted by the login, as "systemctl enable" would have it', async () => {
    const { system, home } = systemOf('linux');
    const { file } = await startAtLogin(system, start);
    const link = path.join(home, '.config/systemd/user/default.target.wants/context-window-manager.service');
    expect(path.resolve(path.dirname(link), readlinkSync(link))).toBe(file);
  });

  test('Linux: a user bus that does not answer costs nothing; without systemd it is refused before anything is written', async () => {
    const { system } = systemOf('linux', { run: () => Promise.reject(new Error('no bus')) });
    expect((await startAtLogin(system, start)).text).not.toBeNull();
    const without = systemOf('linux', { hasSystemd: false });
    await expect(startAtLogin(without.system, start)).rejects.toThrow('systemd');
    expect(readdirSync(without.home)).toEqual([]);
  });

  test('Windows: the file is UTF-16 with its mark; a task that is refused is an error, and one that stays keeps its file', async () => {
    const file = (home: string): string => loginPlatforms['win32']?.file({ home, env: { LOCALAPPDATA: home } }) ?? '';
    const good = systemOf('win32');
    await startAtLogin(good.system, start);
    expect(good.told[0]).toContain('schtasks.exe /Create /F /TN Context Window Manager /XML');
    expect([...readFileSync(file(good.home)).subarray(0, 2)]).toEqual([0xff, 0xfe]);
    expect((await atLogin(good.system)).text).toContain('<LogonTrigger>');
    const stuck = { ...good.system, run: () => Promise.reject(new Error('denied')) };
    await expect(dontStartAtLogin(stuck)).rejects.toThrow('schtasks.exe /Delete');
    expect(existsSync(file(good.home))).toBe(true);
    await expect(startAtLogin(systemOf('win32', { run: stuck.run }).system, start)).rejects.toThrow('schtasks.exe');
  });

  test.each(['linux', 'darwin', 'win32'])(
    '%s: what the extension wrote follows its place, its Node and its settings, for this storage only',
    async (platform) => {
      const { system } = systemOf(platform);
      const storage = '/data/50% & $HOME';
      const at = (command: string, entry: string, ...more: string[]) => ({
        ...start,
        command,
        args: [entry, '--storage', storage, ...more],
      });
      const now = at('/server/new/node', '/new/backend.js', '--isolation', 'off');
      expect(await renewAtLogin(system, now, storage)).toBe(false);
      for (const before of [
        at('/server/new/node', '/gone/backend.js', '--isolation', 'off'),
        at('/server/old/node', '/new/backend.js', '--isolation', 'off'),
        at('/server/new/node', '/new/backend.js'),
      ]) {
        const { text } = await startAtLogin(system, before);
        expect(await renewAtLogin(system, now, '/data/50% & $HOM')).toBe(false);
        expect((await atLogin(system)).text).toBe(text);
        expect(await renewAtLogin(system, now, storage)).toBe(true);
        expect((await atLogin(system)).text).toBe(loginPlatforms[platform]?.text(now, system));
        expect(await renewAtLogin(system, now, storage)).toBe(false);
      }
    },
  );

  test('what the CLI wrote keeps its options, and gets another program only where its own is gone', async () => {
    const { system, home } = systemOf('linux');
    const entry = path.join(home, 'backend.js');
    const cli = { command: '/bin/node', args: [entry, '--storage', '/data', '--http', '9000'], env: {} };
    const extension = { ...start, args: ['/new/backend.js', '--storage', '/data'] };
    writeFileSync(entry, '');
    await startAtLogin(system, cli);
    expect(await renewAtLogin(system, extension, '/data')).toBe(false);
    rmSync(entry);
    expect(await renewAtLogin(system, extension, '/data')).toBe(true);
    expect((await atLogin(system)).text).toContain(
      'ExecStart="/bin/node" "/new/backend.js" "--storage" "/data" "--http" "9000"',
    );
  });

  test('a system that is not known is refused', async () => {
    await expect(atLogin(systemOf('aix').system)).rejects.toThrow('aix');
  });
});
