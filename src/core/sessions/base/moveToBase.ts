import { formatCount } from '../../../base/format.ts';
import { commonPrefixLength } from '../../../base/tokenIds.ts';
import type { RouteInput, RouteOutput } from '../../../protocol/api.ts';
import { CwmError, isCwmError, nullOn } from '../../../protocol/errors.ts';
import type { ProjectBase } from '../../../protocol/schemas/projectConfig.ts';
import type { Branch, Message, Session } from '../../../protocol/schemas/session.ts';
import type { CoreContext } from '../../context.ts';
import { saltOf } from '../../ports/lineages.ts';
import { renderConversation } from '../../prompt/prompt.ts';
import { promptText } from '../../session.ts';
import { freeBranchName, headOf, switched } from '../../turns/branchAt.ts';
import { change } from '../../turns/branches.ts';
import { copyBehind } from '../../turns/turn.ts';
import { inOneOrder } from './baseChanges.ts';

/**
 * Moves a session to the base that its project has now: a new branch begins with that base and its system prompt, and has the active branch's
 * own messages behind it, word for word, as copies. The branch that it was on stays as it is, so that the move can be undone. Unless
 * `breakPrefix` confirms it, a move that has tokens computed again is refused and says how many.
 *
 * The session changes in one write, after its new messages are stored: a crash leaves the session where it was.
 *
 * @throws CwmError InvalidSessionId, SessionNotFound, AlreadyFrozen, InvalidTransition (no base to move to, or one whose KV it cannot share),
 *   PrefixWouldBreak, Corrupted.
 */
export function moveToBase(
  core: CoreContext,
  input: RouteInput<'moveToBase'>,
  signal: AbortSignal,
): Promise<RouteOutput<'moveToBase'>> {
  return change(core, input.session, signal, async (session) => {
    const base = await requireOther(core, session);
    const { store } = core;
    const manifest = await store.windows.get(base.window);
    if (!manifest) throw refused(`The window "${base.window}" of the base is gone.`, 'Renew the base.');
    if (inOneOrder(manifest.settings?.tools) !== inOneOrder(session.settings?.tools))
      throw refused('The base has other tools than the session.', 'Give the session the tools of the base.');
    const own = await ownMessages(core, session);
    const ids = await store.windows.loadTokens(base.window);
    const beginning = await store.messages.load(manifest.session, manifest.messageIds);
    if (!input.breakPrefix && own.length > 0)
      await requireFree(core, base, { system: promptText(manifest), beginning, own, ids }, signal);
    const copies = copiesBehind(core, beginning, own);
    await store.messages.append(session.id, [...(await missing(core, session, beginning)), ...copies]);
    const tokens = { ...manifest.tokens, sha256: await store.sessions.saveTokens(session.id, ids) };
    const last = copies.at(-1) ?? beginning.at(-1);
    const name = freeBranchName(session, undefined);
    const branch: Branch = {
      name,
      head: last?.id ?? null,
      length: last?.sequence ?? 0,
      parentMessageId: null,
      tokens,
      ...(manifest.settings?.systemPrompt && { systemPrompt: manifest.settings.systemPrompt }),
    };
    const branched = { ...session, base: base.window, branches: { ...session.branches, [name]: branch } };
    return switched(branched, name);
  });
}

const refused = (message: string, hint: string): CwmError => new CwmError('InvalidTransition', message, { hint });

/** The base of the session's project, which is another one than the session is on, and whose KV the session can share. */
async function requireOther({ store }: CoreContext, session: Session): Promise<ProjectBase> {
  const base = session.project && (await store.projects.base(session.project));
  if (!base) throw refused("The session's project has no base.", '"cwm base make" makes one.');
  if (session.base === undefined)
    throw refused('The session did not begin with a base.', 'A new session of the project begins with it.');
  if (session.base === base.window)
    throw refused("The session is on its project's base.", '"cwm base renew" renews it.');
  const [own, shared] = [await store.lineages.get(session.lineage), await store.lineages.get(base.lineage)];
  if (base.engine !== session.engine || saltOf(own) !== saltOf(shared))
    throw refused(
      'The session cannot share the KV of the base: it has another model server, or another salt.',
      'A new session of the project begins with it.',
    );
  return base;
}

/** What the active branch has behind the base that it begins with. */
async function ownMessages({ store }: CoreContext, session: Session): Promise<Message[]> {
  const chain = await store.messages.chain(session.id, headOf(session));
  const before = session.base && (await store.windows.get(session.base));
  const begun = before ? before.messageIds : [];
  if (begun.length === 0 || begun.some((id, index) => chain[index] !== id))
    throw refused(
      `The branch "${session.activeBranch}" does not begin with the base that the session began with.`,
      'Switch to a branch that does.',
    );
  return store.messages.load(session.id, chain.slice(begun.length));
}

/** The base's messages have the same ids everywhere; those of a move that was interrupted, or of one back, are there already. */
async function missing({ store }: CoreContext, { id }: Session, messages: readonly Message[]): Promise<Message[]> {
  const found = await Promise.all(
    messages.map((each) => nullOn(store.messages.load(id, [each.id]), 'MessageNotFound')),
  );
  return messages.filter((_, index) => !found[index]);
}

function copiesBehind(core: CoreContext, beginning: readonly Message[], own: readonly Message[]): Message[] {
  const copies: Message[] = [];
  for (const message of own) copies.push(copyBehind(core, message, copies.at(-1) ?? beginning.at(-1) ?? null));
  return copies;
}

interface Moved {
  readonly system: string | null;
  readonly beginning: readonly Message[];
  readonly own: readonly Message[];
  /** Token ids of the base. */
  readonly ids: readonly number[];
}

/** @throws CwmError PrefixWouldBreak: what the model server computes with the next message, besides that message. */
async function requireFree(
  core: CoreContext,
  base: ProjectBase,
  { system, beginning, own, ids }: Moved,
  signal: AbortSignal,
): Promise<void> {
  const engine = core.engines.get(base.engine);
  try {
    const { blockTokens } = await engine.describe(signal);
    const next = await engine.tokenize(renderConversation(system, [...beginning, ...own]), false, signal);
    const shared = commonPrefixLength(ids, next);
    const keptTokens = shared - (shared % (blockTokens ?? 1));
    throw wouldCompute(next.length - keptTokens, next.length);
  } catch (error) {
    signal.throwIfAborted();
    if (!isCwmError(error) || isCwmError(error, 'PrefixWouldBreak')) throw error;
    throw wouldCompute(null, null);
  }
}

const wouldCompute = (lostTokens: number | null, tokens: number | null): CwmError =>
  new CwmError(
    'PrefixWouldBreak',
    lostTokens === null || tokens === null
      ? 'On the new base the model server must compute the whole conversation behind it again.'
      : `On the new base the model server must compute ${formatCount(lostTokens)} of the context's ${formatCount(tokens)} tokens again.`,
    { context: lostTokens === null || tokens === null ? {} : { lostTokens, keptTokens: tokens - lostTokens } },
  );
