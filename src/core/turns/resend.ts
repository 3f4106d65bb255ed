import type { RouteInput, RouteOutput } from '../../protocol/api.ts';
import { CwmError } from '../../protocol/errors.ts';
import { parseSessionId } from '../../protocol/ids.ts';
import type { Message, Session } from '../../protocol/schemas/session.ts';
import type { CoreContext } from '../context.ts';
import type { Reporter } from '../ports/reporter.ts';
import { requireSession } from '../session.ts';
import {
  endingWith,
  freeBranchName,
  headOf,
  mainBranch,
  requireMessageOf,
  switched,
  withBranchAt,
} from './branchAt.ts';
import { answer, requireAnswerable, requireMessage } from './send.ts';
import { isAtRest } from './machine.ts';
import { updateRecord } from './turn.ts';
import { withTurn } from './turns.ts';

/**
 * Sends another text in place of a message, with the same pictures and other parts: a branch that shares what came before it. When no answer comes, the branch is there with the
 * text as its draft, and the same call goes on there.
 *
 * @throws CwmError as `send`, and MessageNotFound, InvalidParameter (no message of the user), BranchExists.
 */
export async function editMessage(
  core: CoreContext,
  input: RouteInput<'editMessage'>,
  signal: AbortSignal,
  reporter: Reporter,
): Promise<RouteOutput<'editMessage'>> {
  requireMessage(input.text);
  return withTurn(core, parseSessionId(input.session), signal, async (session, signal) => {
    const { branched, kept } = await edited(core, session, input);
    return answer(core, branched, { text: input.text, ...kept, input }, signal, reporter);
  });
}

/** @throws CwmError as {@link editMessage}, before anything is done. */
export async function checkEdit(core: CoreContext, session: Session, input: RouteInput<'editMessage'>): Promise<void> {
  requireMessage(input.text);
  requireAnswerable(core, session.engine, input);
  await edited(core, session, input);
}

async function edited(core: CoreContext, session: Session, { message, text, branch }: RouteInput<'editMessage'>) {
  const before = await requireMessageOf(core, session, message);
  const { media, parts } = requireText(before);
  const kept = { ...(media && { media }), ...(parts && { parts }) };
  return { branched: await branchBefore(core, session, before, text, branch), kept };
}

/**
 * Another answer to the same message, on a branch that shares that message. A branch that ends with a message of the user's gets its first answer itself.
 *
 * @throws CwmError as `send`, and MessageNotFound, InvalidParameter (no answer of the model), BranchExists.
 */
export async function regenerate(
  core: CoreContext,
  input: RouteInput<'regenerate'>,
  signal: AbortSignal,
  reporter: Reporter,
): Promise<RouteOutput<'regenerate'>> {
  return withTurn(core, parseSessionId(input.session), signal, async (session, signal) => {
    const { branched, question, text } = await askedAgain(core, session, input);
    try {
      return await answer(core, branched, { text, message: question, input }, signal, reporter);
    } catch (error) {
      if (headOf(session) === question.id && branched.activeBranch === session.activeBranch)
        await endWithQuestion(core, session, question);
      throw error;
    }
  });
}

/** Of an answer that did not come, no other branch has the question: a draft would have its text alone, without pictures, and be of another message. */
async function endWithQuestion(core: CoreContext, before: Session, question: Message): Promise<void> {
  const { branches, tokens, draft } = before;
  try {
    const session = await requireSession(core, before.id);
    if (isAtRest(session) && headOf(session) === question.parentId)
      await updateRecord(core, session, { branches, tokens, draft });
  } catch {
    // The error that stopped the turn says more, and the draft has the text.
  }
}

/** @throws CwmError as {@link regenerate}, before anything is done. */
export async function checkRegenerate(
  core: CoreContext,
  session: Session,
  input: RouteInput<'regenerate'>,
): Promise<void> {
  requireAnswerable(core, session.engine, input);
  await askedAgain(core, session, input);
}

async function askedAgain(core: CoreContext, session: Session, { message, branch }: RouteInput<'regenerate'>) {
  const named = message ?? headOf(session);
  const old = named === null ? null : await requireMessageOf(core, session, named);
  if (old?.role === 'user' && old.content.type === 'text' && old.id === headOf(session)) {
    const { parentId } = old;
    const before = parentId === null ? null : await requireMessageOf(core, session, parentId);
    const branched =
      branch === undefined
        ? endingWith(session, before)
        : await branchBefore(core, session, old, old.content.text, branch);
    return { branched, question: old, text: old.content.text };
  }
  if (!old || old.role !== 'assistant' || old.parentId === null) {
    throw new CwmError('InvalidParameter', 'There is no answer that could be generated again.');
  }
  const question = await requireMessageOf(core, session, old.parentId);
  const { text } = requireText(question);
  return { branched: await branchBefore(core, session, question, text, branch), question, text };
}

function requireText({ id, role, content }: Message): Extract<Message['content'], { readonly type: 'text' }> {
  if (role === 'user' && content.type === 'text') return content;
  throw new CwmError('InvalidParameter', `Message "${id}" is not a text of the user.`);
}

/** The session on a new branch that ends before this message. It stores nothing: the beginning of the turn does. */
async function branchBefore(
  core: CoreContext,
  session: Session,
  { parentId }: Message,
  text: string,
  name: string | undefined,
): Promise<Session> {
  // A try that got no answer has left its branch.
  const isLeft = session.draft === text && headOf(session) === parentId && session.activeBranch !== mainBranch;
  if (isLeft && (name ?? session.activeBranch) === session.activeBranch) return session;
  const free = freeBranchName(session, name);
  const at = parentId === null ? null : await requireMessageOf(core, session, parentId);
  return switched(withBranchAt(session, free, at), free);
}
