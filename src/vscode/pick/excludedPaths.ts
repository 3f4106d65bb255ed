import { type Uri, workspace } from 'vscode';
import type { RouteInput } from '../../protocol/api.ts';
import { excludeRules } from './excludeRules.ts';

const lists = ['files.exclude', 'search.exclude'] as const;

/** What VS Code's own settings leave out of a folder, besides what git ignores. */
export const excludedPaths = (folder: Uri): NonNullable<RouteInput<'prime'>['exclude']> =>
  lists
    .map((name) => ({
      by: `VS Code's "${name}"`,
      rules: excludeRules(workspace.getConfiguration(undefined, folder).get(name)),
    }))
    .filter(({ rules }) => rules !== '');
