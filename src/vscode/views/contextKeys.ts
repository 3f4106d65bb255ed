import { commands } from 'vscode';
import type { Disposable } from '../../base/disposable.ts';
import type { App } from '../app.ts';
import { inBackground } from '../../base/inBackground.ts';
import type { ContextKeys } from '../contributions.ts';

/** Sets the context keys that the `when` clauses of menus and welcome texts read. */
export function registerContextKeys(app: App): Disposable {
  return app.state.render(['connection', 'scope', 'project', 'filter', 'isRecorded'], (state) => {
    const { connection, scope, project, filter } = state;
    const set = <Key extends keyof ContextKeys>(key: Key, value: ContextKeys[Key]): void =>
      inBackground(app.log, 'Setting a context key', commands.executeCommand('setContext', key, value));
    set('cwm.connection', connection.kind);
    set('cwm.scope', scope);
    set('cwm.hasFolder', project.kind === 'folder');
    set('cwm.isFiltered', filter !== '');
    set('cwm.isRecorded', state.isRecorded);
  });
}
