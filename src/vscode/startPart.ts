import type { Disposable } from '../base/disposable.ts';
import type { App } from './app.ts';

/** Starts one part of the extension. If it can't, the others do all the same, and the log says why. */
export function contribute(app: App, name: string, register: (app: App) => Disposable | readonly Disposable[]): void {
  try {
    const registered = register(app);
    app.context.subscriptions.push(...('dispose' in registered ? [registered] : registered));
  } catch (error) {
    app.log.error(`The part “${name}” could not be started.`, error);
  }
}
