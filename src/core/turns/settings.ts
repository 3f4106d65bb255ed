import { formatCount } from '../../base/format.ts';
import type { RouteInput, RouteOutput } from '../../protocol/api.ts';
import { CwmError, nullOn } from '../../protocol/errors.ts';
import { parseDescription, parseSessionId, parseTags } from '../../protocol/ids.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import type {
  PrefixCost,
  Sampling,
  SamplingChange,
  SessionSettings,
  SystemPrompt,
} from '../../protocol/schemas/sessionSettings.ts';
import type { CoreContext } from '../context.ts';
import { modelDifference } from '../identity.ts';
import { requireOpen } from '../lifecycle.ts';
import { requirePolicy } from '../memory/plugins.ts';
import { offeredMemoryTools } from '../memory/tools.ts';
import { prefixCost } from '../prompt/prefixCost.ts';
import { requireWellFormed } from '../prompt/wellFormed.ts';
import { nextEngine, requireSession, systemPromptOf } from '../session.ts';
import { defaultPromptId, takePrompt } from './prompts.ts';

type Given = Pick<
  RouteInput<'createSession'>,
  'systemPrompt' | 'sampling' | 'mode' | 'role' | 'tools' | 'memory' | 'memories'
>;

/** Settings of a new session. @param ofProject where nothing is given. @throws CwmError InvalidParameter, PromptNotFound. */
export async function settingsOfNew(
  core: CoreContext,
  given: Given,
  ofProject: Pick<SessionSettings, 'systemPrompt' | 'tools' | 'memory' | 'memories'> = {},
): Promise<SessionSettings> {
  const isGiven = given.systemPrompt !== undefined || ofProject.systemPrompt !== undefined;
  const named = given.systemPrompt ?? defaultPromptId;
  const systemPrompt = (given.systemPrompt === undefined && ofProject.systemPrompt) || (await takePrompt(core, named));
  const { mode, role, memory = ofProject.memory, tools = ofProject.tools, memories = ofProject.memories } = given;
  // A project's file may name a policy of another backend: ours decides then.
  requirePolicy(core.memoryPlugins, given.memory);
  return {
    ...((isGiven || systemPrompt.text !== '') && { systemPrompt }),
    ...(given.sampling && { sampling: changedSampling({}, given.sampling) }),
    ...(mode && { mode }),
    ...(role && { role }),
    ...(tools && { tools }),
    ...(memory && { memory }),
    ...(memories && { memories }),
  };
}

/**
 * Changes what a session is called and how its answers are made. Where the next prompt would leave the tokens that the engine has KV for,
 * nothing is changed, and the error says what it would cost, unless `breakPrefix` confirms it. `preview` only finds that out.
 *
 * @throws CwmError InvalidSessionId, InvalidParameter, SessionNotFound, PromptNotFound, PrefixWouldBreak, AlreadyFrozen and
 *   InvalidTransition (what the answers depend on cannot change while the session takes no turn).
 */
export async function updateSession(
  core: CoreContext,
  input: RouteInput<'updateSession'>,
  signal: AbortSignal,
): Promise<RouteOutput<'updateSession'>> {
  const id = parseSessionId(input.session);
  return core.turns.run(
    id,
    async () => {
      const session = await requireSession(core, id);
      const { systemPrompt, sampling, mode, role, tools, memory, engine } = input;
      const isOfAnswers = [systemPrompt, sampling, mode, role, tools, memory, engine].some(
        (given) => given !== undefined,
      );
      if (isOfAnswers) requireOpen(session, core.clock.now());
      if (engine !== undefined) core.engines.get(engine);
      requirePolicy(core.memoryPlugins, memory);
      const taken = systemPrompt === undefined ? undefined : await takePrompt(core, systemPrompt);
      const cost = await costOf(core, session, { systemPrompt: taken, engine, tools, memory }, signal);
      if (input.preview) return { ...session, prefix: cost };
      if (cost && cost.lostTokens > 0 && !input.breakPrefix) throw wouldBreak(cost);
      const next = changed(core, session, input, taken, cost);
      await core.store.sessions.update(next);
      return { ...next, prefix: cost };
    },
    signal,
  );
}

function changed(
  core: CoreContext,
  session: Session,
  { title, description, tags, sampling, mode, role, tools, memory, engine, recorded }: RouteInput<'updateSession'>,
  systemPrompt: SystemPrompt | undefined,
  cost: Cost | null,
): Session {
  const { tools: toolsBefore, memory: memoryBefore, ...settings } = session.settings ?? {};
  const toolsNow = tools === undefined ? toolsBefore : tools;
  const memoryNow = memory === undefined ? memoryBefore : memory;
  return {
    ...session,
    ...(title !== undefined && { title: parseTitle(title) }),
    ...(description !== undefined && { description: parseDescription(description) }),
    ...(tags && { tags: parseTags(tags) }),
    ...(recorded !== undefined && { recorded }),
    ...(engine !== undefined && nextEngine(session, engine)),
    settings: {
      ...settings,
      ...(systemPrompt && { systemPrompt }),
      ...(sampling && { sampling: changedSampling(settings.sampling ?? {}, sampling) }),
      ...(mode && { mode }),
      ...(role && { role }),
      ...(toolsNow && { tools: toolsNow }),
      ...(memoryNow && { memory: memoryNow }),
    },
    // Another model's ids mean nothing, and it may be any.
    ...(cost?.otherModel && { model: null, tokens: null }),
    updatedAt: core.clock.now().toISOString(),
    version: session.version + 1,
  };
}

function parseTitle(value: string): string {
  const title = parseDescription(value);
  if (title === '') throw new CwmError('InvalidParameter', 'The title is empty.');
  return title;
}

/** @throws CwmError InvalidParameter for half a character. */
export function changedSampling(before: Sampling, change: SamplingChange): Sampling {
  for (const stop of change.stop ?? []) requireWellFormed(stop, 'A text that ends answers');
  const all = Object.entries({ ...before, ...change }).filter(([, value]) => value !== null && value !== undefined);
  return Object.fromEntries(all) as Sampling;
}

interface Changing {
  readonly systemPrompt: SystemPrompt | undefined;
  readonly engine: string | undefined;
  readonly tools: RouteInput<'updateSession'>['tools'];
  readonly memory: RouteInput<'updateSession'>['memory'];
}

interface Cost extends PrefixCost {
  /** The new engine serves another model, so that nothing of the context can be reused. */
  readonly otherModel?: true;
}

/** Null where the change leaves the prompt as it is. */
async function costOf(
  core: CoreContext,
  session: Session,
  { systemPrompt, engine, tools, memory }: Changing,
  signal: AbortSignal,
): Promise<Cost | null> {
  const { tokens } = session;
  if (!tokens) return null;
  if (engine !== undefined && engine !== session.engine && !(await servesSame(core, session, engine, signal))) {
    return { keptTokens: 0, lostTokens: tokens.count, otherModel: true };
  }
  // The list of tools stands at the very beginning of a prompt.
  const hasTools = session.settings?.tools !== undefined;
  if (tools !== undefined && hasTools !== (tools !== null)) return { keptTokens: 0, lostTokens: tokens.count };
  // The rules of a strict memory stand behind the system prompt.
  const { memory: before, ...settings } = session.settings ?? {};
  const memoryThen = memory === undefined ? before : memory;
  const next = {
    ...session,
    settings: { ...settings, ...(memoryThen && { memory: memoryThen }), ...(systemPrompt && { systemPrompt }) },
  };
  const spec = engine ?? session.engine;
  if (memory !== undefined && (await listsOtherTools(core, session, next, spec, signal)))
    return { keptTokens: 0, lostTokens: tokens.count };
  return promptCost(core, session, next, spec, signal);
}

/** Whether a change of the memory lets its tools in or takes them away. Of a server that cannot be asked, nobody knows. */
async function listsOtherTools(
  core: CoreContext,
  from: Session,
  to: Session,
  spec: string,
  signal: AbortSignal,
): Promise<boolean> {
  const engine = core.engines.get(spec);
  const description = await nullOn(engine.describe(signal), 'EngineUnavailable', 'EngineTimeout', 'EngineRejected');
  if (!description) return false;
  const messages = await core.conversations.of(from);
  const listed = (session: Session): ReturnType<typeof offeredMemoryTools> =>
    offeredMemoryTools(core, { session, engine, description, messages, salt: '' }, null, signal);
  return (await listed(from)).length !== (await listed(to)).length;
}

/**
 * What it costs that the active branch has another system prompt, or that what left its prompt comes back because the memory ends; null where
 * neither is so.
 */
async function promptCost(
  core: CoreContext,
  from: Session,
  to: Session,
  spec: string,
  signal: AbortSignal,
): Promise<PrefixCost | null> {
  const { tokens, id } = from;
  const system = systemPromptOf(to);
  const [had, has] = [from, to].map(({ settings }) => settings?.memory?.enableVm === true);
  const comesBack = tokens?.segments !== undefined && had && !has;
  if (!tokens || (system === systemPromptOf(from) && !comesBack)) return null;
  const ids = await nullOn(core.store.sessions.loadTokens(id, tokens.sha256), 'Corrupted');
  if (!ids) return { keptTokens: 0, lostTokens: tokens.count };
  const whole = await core.conversations.of(from);
  const messages = comesBack ? whole : await core.memories.shown(id, whole, tokens);
  return prefixCost(core.engines.get(spec), ids, { system, messages }, signal);
}

/** A change of the active branch's system prompt, if it costs nothing or is confirmed. @throws CwmError PrefixWouldBreak. */
export async function requireConfirmed(
  core: CoreContext,
  from: Session,
  to: Session,
  isConfirmed: boolean | undefined,
  signal: AbortSignal,
): Promise<Session> {
  const cost = isConfirmed ? null : await promptCost(core, from, to, from.engine, signal);
  if (cost && cost.lostTokens > 0) throw wouldBreak(cost);
  return to;
}

async function servesSame(core: CoreContext, { model }: Session, spec: string, signal: AbortSignal): Promise<boolean> {
  if (model === null) return true;
  const { model: served } = await core.engines.get(spec).describe(signal);
  return modelDifference(model, served) === null;
}

const wouldBreak = ({ lostTokens, keptTokens }: PrefixCost): CwmError =>
  new CwmError(
    'PrefixWouldBreak',
    `After this change the model server must compute ${formatCount(lostTokens)} of the context's ${formatCount(lostTokens + keptTokens)} tokens again.`,
    { context: { lostTokens, keptTokens } },
  );
