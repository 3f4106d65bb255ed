import type { App } from './app.ts';
import type { State } from './state.ts';

/** The exports of the extension, for other extensions and for the tests in the editor. */
export interface ExtensionApi {
  /** How long `activate` took, in milliseconds. */
  readonly activationMs: number;
  /** The connection to the backend when `activate` returned. */
  readonly connectionAtActivation: State['connection']['kind'];
  /** The state that the views show now. */
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
