import type { Disposable } from '../../base/disposable.ts';
import type { App } from '../app.ts';
import { inBackground } from '../../base/inBackground.ts';

/** Fetches what the signals of the backend name. */
export const followBackend = (app: App): Disposable =>
  app.connection.onChange((change) => inBackground(app.log, 'Fetching changes', app.puller.follow(change)));
