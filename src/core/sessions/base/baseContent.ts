import { sha256Hex } from '../../../base/hash.ts';
import { CwmError } from '../../../protocol/errors.ts';
import type { ProjectUri } from '../../../protocol/ids.ts';
import type { ProjectBase, ProjectConfig } from '../../../protocol/schemas/projectConfig.ts';
import type { ContextFile } from '../../../protocol/schemas/session.ts';
import type { CoreContext } from '../../context.ts';
import type { ReadFiles } from '../../ports/contextFiles.ts';
import { memoriesFile } from '../../memory/notes.ts';
import { systemPromptWith } from '../../projects/projectDefaults.ts';

/** What a project's base is made of, as the files say now. */
export interface BaseContent {
  /** System prompt and rules; null: there are none. */
  readonly system: string | null;
  /** In the order of the prompt. */
  readonly files: readonly ContextFile[];
  readonly skipped: ReadFiles['skipped'];
}

/** The memories of the user, of tools and of the project, the oldest first: what changes most stands at the end. Null: there are none. */
async function memoriesOf({ store }: CoreContext, project: ProjectUri): Promise<ContextFile | null> {
  return memoriesFile([...(await store.memory.notes(null)), ...(await store.memory.notes(project))]);
}

/**
 * Reads it from the disk. Files that the project's base has already keep their place, so that what did not change stays in front; new ones
 * follow, the rarely changed first.
 *
 * @param paths files and folders, relative to the project's folder; null: those that the configuration names.
 * @throws CwmError InvalidParameter (nothing to make it from, a path outside the folder), PathNotFound, ReadFailed.
 */
export async function readBaseContent(
  core: CoreContext,
  project: ProjectUri,
  {
    config,
    paths,
    memories,
    before,
  }: {
    config: ProjectConfig | null;
    paths: readonly string[] | null;
    memories: boolean;
    before: ProjectBase | null;
  },
  signal: AbortSignal,
): Promise<BaseContent> {
  const folder = core.folders.pathOf(project);
  if (folder === null)
    throw new CwmError('InvalidParameter', `${project} is on no disk of this machine, so its files cannot be read.`);
  const named = paths ?? config?.prime ?? [];
  const system = await systemPromptWith(core, folder, config, signal);
  if (named.length === 0) throw nothingNamed();
  const namedBy = paths === null ? 'configuration' : 'user';
  const { files, skipped } = await core.files.read(named, folder, [], signal, namedBy);
  // A path that is not below the folder is not relative to it.
  const inside = files.filter(({ path }) => !/^([/\\]|[A-Za-z]:)/.test(path));
  const outside = files
    .filter((file) => !inside.includes(file))
    .map(({ path }) => ({ path, why: 'outside the project' }));
  if (inside.length === 0) throw nothingNamed();
  const byPath = new Map(inside.map((file) => [file.path, file]));
  const known = (before?.files ?? []).flatMap(({ path }) => byPath.get(path) ?? []);
  const added = inside.filter((file) => !known.includes(file)).map(({ path }) => path);
  const ordered = await core.folders.byChange(folder, added, signal);
  const remembered = memories ? await memoriesOf(core, project) : null;
  return {
    system,
    files: [...known, ...ordered.flatMap((path) => byPath.get(path) ?? []), ...(remembered ? [remembered] : [])],
    skipped: [...skipped, ...outside],
  };
}

const nothingNamed = (): CwmError =>
  new CwmError('InvalidParameter', 'There is no file to make a base from.', {
    hint: 'Name files in "prime" of .cwm/config.json, or give them.',
  });

export const baseFilesOf = (files: readonly ContextFile[]): ProjectBase['files'] =>
  files.map(({ path, text }) => ({ path, sha256: sha256Hex(text) }));

export const systemHash = (system: string | null): string | null => (system === null ? null : sha256Hex(system));
