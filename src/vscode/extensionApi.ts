import type { App } from './app.ts';
import type { State } from './state.ts';

/** What other extensions, and the tests in the editor, get from `vscode.extensions.getExtension(…).exports`. */
export interface ExtensionApi {
  /** How long `activate` took, in milliseconds. */
  readonly activationMs: number;
  /** What was known of the backend when `activate` returned. */
  readonly connectionAtActivation: State['connection']['kind'];
  /** What the views show now. */
  readonly state: State;
}

export function extensionApi(app: App, activationMs: number): ExtensionApi {
  app.log.info(`Activated in ${activationMs.toFixed(1)} ms.`);
  return {
    activationMs,
    connectionAtActivation: app.state.current.connection.kind,
    get state() {
      return app.state.current;
    },
  };
}
