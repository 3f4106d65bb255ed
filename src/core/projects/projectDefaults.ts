import type { ProjectUri, PromptId } from '../../protocol/ids.ts';
import { withModel } from '../../protocol/engineSpec.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { ProjectConfig } from '../../protocol/schemas/projectConfig.ts';
import type { SessionSettings } from '../../protocol/schemas/sessionSettings.ts';
import type { CoreContext } from '../context.ts';

/** What new sessions of a project have where their creator does not say. */
export interface ProjectDefaults {
  readonly systemPrompt?: SessionSettings['systemPrompt'];
  readonly engine?: string;
  readonly tools?: SessionSettings['tools'];
  readonly memory?: SessionSettings['memory'];
  readonly memories?: SessionSettings['memories'];
  /** Whether new sessions may begin with the project's base. */
  readonly sharesBase: boolean;
  /** Whether they may have the tools that the base was made with. */
  readonly givesTools: boolean;
  /** For the user. */
  readonly notes: readonly string[];
}

/** How sessions name a system prompt that came from their project's configuration. */
const projectPromptId = 'project' as PromptId;

const nothing: ProjectDefaults = { sharesBase: false, givesTools: false, notes: [] };

/**
 * What the project's configuration says. A folder that the user does not trust chooses neither a server nor tools. An agent gets nothing of
 * the configuration of a folder that it does not work in.
 *
 * @throws CwmError InvalidParameter when the configuration is bad, OperationTimeout.
 */
export async function projectDefaults(
  core: CoreContext,
  project: ProjectUri | null,
  signal: AbortSignal,
): Promise<ProjectDefaults> {
  if (project === null || !mayRead(core, project)) return nothing;
  const config = (await core.folders.config(project, signal))?.config;
  const isTrusted = await core.store.projects.isTrusted(project);
  // An agent chooses no tools; the user chose those of a folder by trusting it.
  const allows = {
    sharesBase: config?.isolation !== 'session',
    givesTools: isTrusted,
    ...(config?.memory && { memory: config.memory }),
    ...(config?.memories && { memories: true }),
  };
  if (!config) return { ...nothing, ...allows };
  const { engine, model, tools } = config;
  const text = await systemPromptWith(core, core.folders.pathOf(project), config, signal);
  const systemPrompt = text === null ? {} : { systemPrompt: { id: projectPromptId, text } };
  const chosen = Object.entries({ engine, model, tools }).flatMap(([name, value]) =>
    value === undefined ? [] : [name],
  );
  if (chosen.length === 0) return { ...systemPrompt, ...allows, notes: [] };
  if (!isTrusted) return { ...systemPrompt, ...allows, notes: [untrusted(chosen)] };
  const server = engine ?? (model === undefined ? undefined : core.engines.defaultSpec);
  const named = server !== undefined && model !== undefined ? withModel(server, model) : server;
  const unnamed =
    named === null ? [`The model server of new sessions has one model, so the project's "model" is not used.`] : [];
  return {
    ...systemPrompt,
    ...allows,
    ...((named ?? server) !== undefined && { engine: named ?? server }),
    ...(tools && { tools }),
    notes: unnamed,
  };
}

/** System prompt and rules, as the files say now; null: there are none. @throws CwmError PathNotFound, ReadFailed, InvalidParameter (a rule that is no text, or outside the folder). */
export async function systemPromptWith(
  core: Pick<CoreContext, 'files'>,
  folder: string | null,
  config: ProjectConfig | null,
  signal: AbortSignal,
): Promise<string | null> {
  const texts = config?.system_prompt === undefined ? [] : [config.system_prompt];
  for (const rule of config?.rules ?? []) {
    if (folder === null) break;
    const { files, skipped } = await core.files.read([rule], folder, [], signal, 'configuration');
    const [file] = files;
    if (!file || files.length > 1 || /^([/\\]|[A-Za-z]:)/.test(file.path)) {
      const why = skipped[0]?.why ?? 'it is not one text file of the project';
      throw new CwmError('InvalidParameter', `The rule ${JSON.stringify(rule)} cannot be read: ${why}.`);
    }
    texts.push(file.text.trimEnd());
  }
  return texts.length === 0 ? null : texts.join('\n\n');
}

function mayRead({ caller, clients }: CoreContext, project: ProjectUri): boolean {
  const { client, isAgent } = caller();
  return !isAgent || clients.peek(client)?.resolution.project === project;
}

const untrusted = (chosen: readonly string[]): string =>
  `You do not trust this folder, so ${chosen.map((name) => `"${name}"`).join(', ')} of its .cwm/config.json ${chosen.length === 1 ? 'is' : 'are'} not used. "cwm trust" changes that.`;
