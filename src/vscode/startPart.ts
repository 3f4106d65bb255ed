import type { Disposable } from '../base/disposable.ts';
import type { App } from './app.ts';

/** Starts one part of the extension. When it fails, the other parts still start, and the log says why. */
export function startPart(app: App, name: string, register: (app: App) => Disposable | readonly Disposable[]): void {
  try {
    const registered = register(app);
    app.context.subscriptions.push(...('dispose' in registered ? [registered] : registered));
  } catch (error) {
    app.log.error(`The part "${name}" did not start.`, error);
  }
}
