import type { ExtensionContext, LogOutputChannel } from 'vscode';
import { entryPointPath } from '../../base/entryPoint.ts';
import type { BackendStart } from '../../client/backendChild.ts';
import { connectBackend, type ConnectOptions } from '../../client/connectBackend.ts';
import type { ConnectBackend } from './backend.ts';
import { apiKeySecret } from '../contributions.ts';
import { settleOlderStore } from './olderStore.ts';
import { setting } from '../settings/settings.ts';
import { storageDirectory } from '../settings/storageDirectory.ts';

/** Settings that hold from the backend's next start on. */
function backendArguments(): string[] {
  const threads = setting('cwm.embedded.threads');
  const args = {
    'log-level': setting('cwm.logLevel'),
    'kv-budget-gb': setting('cwm.kvBudgetGb'),
    'storage-quota-gb': setting('cwm.storageQuotaGb'),
    ...(threads === 0 ? {} : { 'embedded-threads': threads }),
  };
  return Object.entries(args).flatMap(([name, value]) => [`--${name}`, String(value)]);
}

/** Which backend this window uses and how one is started, as the settings say at this moment. */
export const connectOptions = (context: ExtensionContext): ConnectOptions & { readonly start: BackendStart } => ({
  storage: storageDirectory(),
  kind: 'vscode',
  start: {
    // The editor's own Node. A desktop VS Code is Electron, which runs as Node when told so; a server's Node ignores it.
    nodePath: process.execPath,
    env: { ELECTRON_RUN_AS_NODE: '1' },
    args: backendArguments(),
    entry: entryPointPath('backend', import.meta.url),
  },
  // Only for the engine that a call names: the key of one server is never shown to another.
  engineKey: async (engine) => (engine === undefined ? undefined : context.secrets.get(apiKeySecret(engine))),
});

/** Finds or starts the backend, after a look at what an earlier version stored. */
export const startBackend =
  (context: ExtensionContext, log: LogOutputChannel): ConnectBackend =>
  async (signal) => {
    const options = connectOptions(context);
    await settleOlderStore(context, log, options, signal);
    return await connectBackend(options, signal);
  };
