import type { RouteInput, RouteOutput } from '../../protocol/api.ts';
import { CwmError } from '../../protocol/errors.ts';
import { parseSessionId } from '../../protocol/ids.ts';
import type { Message, Session } from '../../protocol/schemas/session.ts';
import type { CoreContext } from '../context.ts';
import type { Reporter } from '../ports/reporter.ts';
import { freeBranchName, headOf, mainBranch, requireMessageOf, switched, withBranchAt } from './branchAt.ts';
import { answer, requireMessage } from './send.ts';
import { withTurn } from './turns.ts';

/**
 * Sends another text in place of a message, with the same pictures: a branch that shares what came before it. When no answer comes, the branch is there with the
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
    const edited = await requireMessageOf(core, session, input.message);
    const { media } = requireText(edited);
    const branched = await branchBefore(core, session, edited, input.text, input.branch);
    return answer(core, branched, { text: input.text, ...(media && { media }), input }, signal, reporter);
  });
}

/**
 * Another answer to the same message, on a branch that shares that message.
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
    const named = input.message ?? headOf(session);
    const old = named === null ? null : await requireMessageOf(core, session, named);
    if (!old || old.role !== 'assistant' || old.parentId === null) {
      throw new CwmError('InvalidParameter', 'There is no answer that could be generated again.');
    }
    const question = await requireMessageOf(core, session, old.parentId);
    const { text } = requireText(question);
    const branched = await branchBefore(core, session, question, text, input.branch);
    return answer(core, branched, { text, message: question, input }, signal, reporter);
  });
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
