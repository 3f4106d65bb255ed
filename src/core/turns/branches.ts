import { commonPrefixLength } from '../../base/tokenIds.ts';
import type { RouteInput, RouteOutput } from '../../protocol/api.ts';
import { CwmError, isCwmError, nullOn } from '../../protocol/errors.ts';
import { parseBranchName, parseSessionId } from '../../protocol/ids.ts';
import type { BranchComparison, BranchSummary } from '../../protocol/schemas/branch.ts';
import type { Branch, Session } from '../../protocol/schemas/session.ts';
import type { CoreContext } from '../context.ts';
import { requireSession } from '../session.ts';
import {
  endingWith,
  freeBranchName,
  headOf,
  mainBranch,
  requireBranch,
  requireEnd,
  switched,
  withBranchAt,
} from './branchAt.ts';
import { takePrompt } from './prompts.ts';
import { requireConfirmed } from './settings.ts';
import { withTurn } from './turns.ts';

/**
 * Every branch with its tokens, and how many of them the model server can reuse from a sibling.
 *
 * @throws CwmError InvalidSessionId, SessionNotFound.
 */
export async function listBranches(
  core: CoreContext,
  input: RouteInput<'listBranches'>,
  signal: AbortSignal,
): Promise<RouteOutput<'listBranches'>> {
  const session = await requireSession(core, parseSessionId(input.session));
  const blockTokens = await blockTokensOf(core, session, signal);
  const ids = new Map<string, readonly number[]>();
  for (const { name } of Object.values(session.branches)) ids.set(name, await idsOf(core, session, name));
  const items = Object.values(session.branches).map(
    ({ name, head, length, parentMessageId, systemPrompt }): BranchSummary => {
      const own = ids.get(name) ?? [];
      let [sharedTokens, sharedWith]: [number, string | null] = [0, null];
      for (const [sibling, others] of ids) {
        const shared = sibling === name ? 0 : commonPrefixLength(own, others);
        if (shared > sharedTokens) [sharedTokens, sharedWith] = [shared, sibling];
      }
      return {
        name,
        active: name === session.activeBranch,
        head,
        length,
        parentMessageId,
        tokens: own.length === 0 ? null : own.length,
        sharedTokens,
        sharedBlocks: blockTokens && Math.floor(sharedTokens / blockTokens),
        sharedWith,
        systemPrompt: systemPrompt?.id ?? null,
      };
    },
  );
  return { items };
}

/**
 * Makes a branch at a message, and switches to it unless `switch` is false.
 *
 * @throws CwmError InvalidSessionId, InvalidParameter, SessionNotFound, MessageNotFound, BranchExists, AlreadyFrozen, InvalidTransition.
 */
export function createBranch(
  core: CoreContext,
  input: RouteInput<'createBranch'>,
  signal: AbortSignal,
): Promise<RouteOutput<'createBranch'>> {
  return change(core, input.session, signal, async (session) => {
    const name = freeBranchName(session, input.name);
    const at = input.at === undefined ? headOf(session) : input.at;
    const made = withBranchAt(session, name, at === null ? null : await requireEnd(core, session, at));
    return input.switch === false ? made : switched(made, name);
  });
}

/**
 * Renames a branch, gives it a system prompt of its own, or switches to it.
 *
 * @throws CwmError InvalidSessionId, InvalidParameter, SessionNotFound, BranchNotFound, BranchExists, BranchInUse (main has its name for
 *   ever), PromptNotFound, PrefixWouldBreak, AlreadyFrozen, InvalidTransition.
 */
export function updateBranch(
  core: CoreContext,
  input: RouteInput<'updateBranch'>,
  signal: AbortSignal,
): Promise<RouteOutput<'updateBranch'>> {
  return change(core, input.session, signal, async (session) => {
    const branch = requireBranch(session, input.branch);
    const { rename, systemPrompt } = input;
    if (rename === undefined && systemPrompt === undefined) return switched(session, branch.name);
    const prompted = systemPrompt === undefined ? session : await withPrompt(core, session, branch, input, signal);
    return rename === undefined ? prompted : renamed(prompted, branch.name, rename);
  });
}

function renamed(session: Session, name: string, to: string): Session {
  if (parseBranchName(to) === name) return session;
  if (name === mainBranch) throw new CwmError('BranchInUse', 'The branch "main" cannot have another name.');
  const free = freeBranchName(session, to);
  const entries = Object.values(session.branches).map((each): [string, Branch] =>
    each.name === name ? [free, { ...each, name: free }] : [each.name, each],
  );
  const activeBranch = session.activeBranch === name ? free : session.activeBranch;
  return { ...session, branches: Object.fromEntries(entries), activeBranch };
}

async function withPrompt(
  core: CoreContext,
  session: Session,
  branch: Branch,
  { systemPrompt, breakPrefix }: RouteInput<'updateBranch'>,
  signal: AbortSignal,
): Promise<Session> {
  const { systemPrompt: _, ...rest } = branch;
  const own = typeof systemPrompt === 'string' ? await takePrompt(core, systemPrompt) : undefined;
  const next: Branch = { ...rest, ...(own && { systemPrompt: own }) };
  const changed = { ...session, branches: { ...session.branches, [branch.name]: next } };
  return requireConfirmed(core, session, changed, breakPrefix, signal);
}

/** @throws CwmError InvalidSessionId, InvalidParameter, SessionNotFound, BranchNotFound, BranchInUse (the active one, or main). */
export function deleteBranch(
  core: CoreContext,
  input: RouteInput<'deleteBranch'>,
  signal: AbortSignal,
): Promise<RouteOutput<'deleteBranch'>> {
  return change(core, input.session, signal, async (session) => {
    const { name } = requireBranch(session, input.branch);
    if (name === mainBranch) throw new CwmError('BranchInUse', 'The branch "main" cannot be deleted.');
    if (name === session.activeBranch) throw new CwmError('BranchInUse', `The session is on the branch "${name}".`);
    const { [name]: _, ...branches } = session.branches;
    return { ...session, branches };
  });
}

/**
 * Lets the active branch end with an earlier message of its own; null: with none. A recovery point is made before.
 *
 * @throws CwmError InvalidSessionId, InvalidParameter (a message of another branch), SessionNotFound, MessageNotFound.
 */
export function rollBack(
  core: CoreContext,
  input: RouteInput<'rollBack'>,
  signal: AbortSignal,
): Promise<RouteOutput<'rollBack'>> {
  return change(core, input.session, signal, async (session) => {
    if (input.message === null) return endingWith(session, null);
    const at = await requireEnd(core, session, input.message);
    const own = await core.store.messages.chain(session.id, headOf(session));
    if (own.includes(at.id)) return endingWith(session, at);
    throw new CwmError('InvalidParameter', `Message "${at.id}" is not one of the branch "${session.activeBranch}".`);
  });
}

/** @throws CwmError InvalidSessionId, InvalidParameter, SessionNotFound, BranchNotFound. */
export async function compareBranches(
  core: CoreContext,
  input: RouteInput<'compareBranches'>,
  signal: AbortSignal,
): Promise<BranchComparison> {
  const session = await requireSession(core, parseSessionId(input.session));
  const [one, other] = [
    requireBranch(session, input.branch),
    requireBranch(session, input.with ?? session.activeBranch),
  ];
  const [ours = [], theirs = []] = await Promise.all(
    [one, other].map(({ head }) => core.store.messages.chain(session.id, head)),
  );
  let shared = 0;
  while (shared < ours.length && ours[shared] === theirs[shared]) shared++;
  const sharedTokens = commonPrefixLength(await idsOf(core, session, one.name), await idsOf(core, session, other.name));
  const blockTokens = await blockTokensOf(core, session, signal);
  return {
    lastShared: ours[shared - 1] ?? null,
    sharedMessages: shared,
    sharedTokens,
    sharedBlocks: blockTokens && Math.floor(sharedTokens / blockTokens),
    one: { name: one.name, length: one.length, messages: ours.slice(shared) },
    other: { name: other.name, length: other.length, messages: theirs.slice(shared) },
  };
}

/** Stores what `task` makes of a session that is open and at rest, after a recovery point. */
export function change(
  core: CoreContext,
  id: string,
  signal: AbortSignal,
  task: (session: Session) => Promise<Session>,
): Promise<Session> {
  return withTurn(core, parseSessionId(id), signal, async (session) => {
    const next = await task(session);
    if (next === session) return session;
    await core.trackers.use(session.id, (tracker) => tracker.beforeTurn(session));
    const stored = { ...next, updatedAt: core.clock.now().toISOString(), version: session.version + 1 };
    await core.store.sessions.update(stored);
    return stored;
  });
}

/** None where the engine saw none yet, and where they are damaged. */
async function idsOf(core: CoreContext, session: Session, name: string): Promise<readonly number[]> {
  const tokens = name === session.activeBranch ? session.tokens : session.branches[name]?.tokens;
  if (!tokens) return [];
  return (await nullOn(core.store.sessions.loadTokens(session.id, tokens.sha256), 'Corrupted')) ?? [];
}

async function blockTokensOf(core: CoreContext, { engine }: Session, signal: AbortSignal): Promise<number | null> {
  try {
    return (await core.engines.get(engine).describe(signal)).blockTokens;
  } catch (error) {
    signal.throwIfAborted();
    if (!isCwmError(error)) throw error;
    return null;
  }
}
