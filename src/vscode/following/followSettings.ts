import { type Disposable, workspace } from 'vscode';
import type { App } from '../app.ts';
import { inBackground } from '../../base/inBackground.ts';
import { affects } from '../settings/settings.ts';
import { wakeUp } from './wakeUp.ts';

/** Makes changed settings take effect without a reload. */
export const followSettings = (app: App): Disposable =>
  workspace.onDidChangeConfiguration((event) => {
    if (affects(event, ['cwm.storageDirectory'])) {
      app.connection.close();
      app.state.update({
        currentSession: { kind: 'unknown' },
        sessions: { kind: 'unknown' },
        windows: new Map(),
        branches: new Map(),
        receipts: new Map(),
        warmings: new Map(),
      });
      inBackground(app.log, 'Looking for sessions', wakeUp(app));
    } else if (affects(event, ['cwm.engine'])) {
      inBackground(app.log, 'Asking for the engine', app.puller.engine());
    }
  });
