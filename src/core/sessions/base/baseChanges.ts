import { nullOn } from '../../../protocol/errors.ts';
import type { ProjectUri } from '../../../protocol/ids.ts';
import type { BaseChanges, ProjectBase, ProjectConfig } from '../../../protocol/schemas/projectConfig.ts';
import type { Message } from '../../../protocol/schemas/session.ts';
import type { SessionSettings } from '../../../protocol/schemas/sessionSettings.ts';
import type { CoreContext } from '../../context.ts';
import { projectDefaults } from '../../projects/projectDefaults.ts';
import { prefixCost } from '../../prompt/prefixCost.ts';
import { promptText } from '../../session.ts';
import { settingsOfNew } from '../../turns/settings.ts';
import { baseFilesOf, readBaseContent, systemHash, type BaseContent } from './baseContent.ts';

/** What a base that is made now would have in another way; null where its files cannot be read. */
export async function changesOf(
  core: CoreContext,
  project: ProjectUri,
  { base, config }: { readonly base: ProjectBase; readonly config: ProjectConfig | null },
  signal: AbortSignal,
): Promise<BaseChanges | null> {
  const content = await nullOn(
    readBaseContent(
      core,
      project,
      { config, paths: base.paths, memories: base.memories ?? false, before: base },
      signal,
    ),
    'InvalidParameter',
    'PathNotFound',
    'ReadFailed',
  );
  if (!content) return null;
  const now = new Map(baseFilesOf(content.files).map(({ path, sha256 }) => [path, sha256]));
  const then = new Map(base.files.map(({ path, sha256 }) => [path, sha256]));
  const changed = [...then].filter(([path, sha256]) => now.has(path) && now.get(path) !== sha256).map(([path]) => path);
  const removed = [...then.keys()].filter((path) => !now.has(path));
  const added = [...now.keys()].filter((path) => !then.has(path));
  const systemChanged = systemHash(content.system) !== base.system;
  const toolsChanged = await haveToolsChanged(core, project, base, signal);
  const isSame = !systemChanged && changed.length + removed.length + added.length === 0;
  const shared = async () => (isSame ? base.tokens : sharedWith(core, base, content, signal));
  return { changed, added, removed, systemChanged, toolsChanged, sharedTokens: toolsChanged ? null : await shared() };
}

/** Whether a base that is made now would have other tools. What its window says cannot be compared where it is damaged. */
async function haveToolsChanged(
  core: CoreContext,
  project: ProjectUri,
  base: ProjectBase,
  signal: AbortSignal,
): Promise<boolean> {
  const manifest = await nullOn(core.store.windows.get(base.window), 'Corrupted');
  if (!manifest) return false;
  const { tools } = await settingsOfNew(core, {}, await projectDefaults(core, project, signal));
  return inOneOrder(tools) !== inOneOrder(manifest.settings?.tools);
}

/** What was read has its fields in another order than what was made. */
export const inOneOrder = (tools: SessionSettings['tools']): string =>
  tools ? JSON.stringify(Object.entries(tools).sort(([one], [other]) => (one < other ? -1 : 1))) : '';

/** How many of the base's tokens one that is made of this content would begin with. */
async function sharedWith(
  core: CoreContext,
  base: ProjectBase,
  { system, files }: BaseContent,
  signal: AbortSignal,
): Promise<number | null> {
  const manifest = await nullOn(core.store.windows.get(base.window), 'Corrupted');
  const ids = manifest && (await nullOn(core.store.windows.loadTokens(base.window), 'Corrupted', 'WindowNotFound'));
  const [first] = manifest ? await core.store.messages.load(manifest.session, manifest.messageIds) : [];
  if (!manifest || !ids || !first) return null;
  const message: Message = { ...first, content: { type: 'context', files: [...files] } };
  const next = { system: system ?? promptText(manifest), messages: [message] };
  const { keptTokens } = await prefixCost(core.engines.get(base.engine), ids, next, signal);
  return keptTokens;
}
