import type { Disposable } from '../../base/disposable.ts';
import type { App } from '../app.ts';
import { inBackground } from '../ui/background.ts';

/** Fetches what the backend says has changed. */
export const followBackend = (app: App): Disposable =>
  app.connection.onChange((change) => inBackground(app.log, 'Fetching what changed', app.puller.follow(change)));
