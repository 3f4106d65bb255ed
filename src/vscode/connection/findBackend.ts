import type { ExtensionContext, LogOutputChannel } from 'vscode';
import { entryPointPath } from '../../base/entryPoint.ts';
import { backendCommandLine, type BackendStart } from '../../client/backendChild.ts';
import { connectBackend, type ConnectOptions } from '../../client/connectBackend.ts';
import type { ConnectBackend } from './backend.ts';
import { backendFlags, backendSettings, type BackendSetting } from '../../protocol/settings/backendSettings.ts';
import { apiKeySecret } from '../contributions.ts';
import type { SettingId } from '../settings/settingTable.ts';
import { settleOlderStore } from './olderStore.ts';
import { setting } from '../settings/settings.ts';
import { storageDirectory } from '../settings/storageDirectory.ts';
import { userPath } from '../settings/userPath.ts';

/** What the embedded engine is started with. */
function embeddedArguments(): string[] {
  const [threads, context, layers] = [
    setting('cwm.embedded.threads'),
    setting('cwm.embedded.contextTokens'),
    setting('cwm.embedded.gpuLayers'),
  ];
  const template = setting('cwm.embedded.chatTemplate').trim();
  const args = {
    'embedded-gpu': setting('cwm.embedded.gpu'),
    'embedded-kv-type': setting('cwm.embedded.kvType'),
    ...(threads === 0 ? {} : { 'embedded-threads': threads }),
    ...(context === 0 ? {} : { 'embedded-context': context }),
    ...(layers < 0 ? {} : { 'embedded-gpu-layers': layers }),
    // A built-in one is a name, without any of these signs.
    ...(template === '' ? {} : { 'embedded-chat-template': /[/\\.~]/.test(template) ? userPath(template) : template }),
  };
  return Object.entries(args).flatMap(([name, value]) => [`--${name}`, String(value)]);
}

/** Undefined where nothing is given. A file is named as in all settings. */
const given = (value: string | number, { kind }: BackendSetting): string | number | undefined =>
  kind !== 'path' ? value : value === '' ? undefined : userPath(String(value));

/** Settings that take effect at the next start of the backend. */
const backendArguments = (): string[] => [
  ...backendFlags(
    Object.fromEntries(
      Object.entries<BackendSetting>(backendSettings).map(([name, row]) => [
        name,
        row.setting === undefined ? undefined : given(setting(row.setting as SettingId), row),
      ]),
    ),
  ),
  ...embeddedArguments(),
];

/** Which backend this window uses and how to start it, by the current settings. */
export const connectOptions = (context: ExtensionContext): ConnectOptions & { readonly start: BackendStart } => ({
  storage: storageDirectory(),
  kind: 'vscode',
  start: {
    // The editor's own Node. A desktop VS Code is Electron, which this variable turns into Node; a server's Node ignores it.
    nodePath: process.execPath,
    env: { ELECTRON_RUN_AS_NODE: '1' },
    args: backendArguments(),
    entry: entryPointPath('backend', import.meta.url),
  },
  // Only the key of the engine that a call names: a server must never see another server's key.
  engineKey: async (engine) => (engine === undefined ? undefined : context.secrets.get(apiKeySecret(engine))),
});

/** The same backend as a program that a login starts. It does not end by itself. */
export function loginStart(context: ExtensionContext): {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
} {
  const { storage, start } = connectOptions(context);
  const args = [...(start.args ?? []), '--idle-minutes', '0'];
  return {
    command: start.nodePath,
    args: backendCommandLine(storage, { ...start, args }),
    env: { ELECTRON_RUN_AS_NODE: '1' },
  };
}

/** Takes over the store of an earlier version, then finds or starts the backend. */
export const findBackend =
  (context: ExtensionContext, log: LogOutputChannel): ConnectBackend =>
  async (signal) => {
    const options = connectOptions(context);
    await settleOlderStore(context, log, options, signal);
    return await connectBackend(options, signal);
  };
