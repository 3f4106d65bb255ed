import type { ProjectFolders } from '../../src/core/ports/projects.ts';
import { parseProjectUri } from '../../src/protocol/ids.ts';
import { projectConfigSchema } from '../../src/protocol/schemas/projectConfig.ts';

/** Folders whose projects' file says what the test says; null: they have none. */
export const fakeFolders = (says: (folder: string) => object | null): ProjectFolders => ({
  config: async (folder) => {
    const more = says(folder);
    if (!more) return null;
    const config = projectConfigSchema.parse({ version: '1.0', project: { name: 'a' }, ...more });
    return { path: `${folder}/.cwm/config.json`, root: folder, config };
  },
  canonical: async (project) => project,
  hints: async () => ({ remote: null, firstCommit: null }),
  exists: async () => null,
  pathOf: (project) => project.slice('file://'.length),
  byChange: async (_, paths) => [...paths].sort(),
  uriOf: async (folder) => parseProjectUri(`file://${folder}`),
});
