import { CwmError } from '../../protocol/errors.ts';
import { parseBranchName, parseMessageId, type MessageId } from '../../protocol/ids.ts';
import type { Branch, ContextTokens, Message, Session } from '../../protocol/schemas/session.ts';
import type { CoreContext } from '../context.ts';

export const mainBranch = 'main';

/** @throws CwmError InvalidParameter (bad name), BranchNotFound. */
export function requireBranch({ id, branches }: Session, given: string): Branch {
  const name = parseBranchName(given);
  const branch = Object.hasOwn(branches, name) ? branches[name] : undefined;
  if (!branch) throw new CwmError('BranchNotFound', `Session "${id}" has no branch "${name}".`);
  return branch;
}

/** The given name, or the first free one of `branch-2` and so on. @throws CwmError InvalidParameter, BranchExists. */
export function freeBranchName({ id, branches }: Session, given: string | undefined): string {
  if (given !== undefined) {
    const name = parseBranchName(given);
    if (Object.hasOwn(branches, name))
      throw new CwmError('BranchExists', `Session "${id}" has a branch "${name}" already.`);
    return name;
  }
  for (let number = 2; ; number++) if (!Object.hasOwn(branches, `branch-${number}`)) return `branch-${number}`;
}

/** A message of the session's pool, on whichever branch. @throws CwmError InvalidParameter, MessageNotFound, Corrupted. */
export async function requireMessageOf(core: CoreContext, { id }: Session, given: string): Promise<Message> {
  const [message] = await core.store.messages.load(id, [parseMessageId(given)]);
  if (!message) throw new CwmError('MessageNotFound', `Session "${id}" has no message "${given}".`);
  return message;
}

/**
 * A message that a branch can end with: behind one that calls tools, each call has its result, since chat templates refuse calls without one.
 *
 * @throws CwmError InvalidParameter, MessageNotFound, Corrupted.
 */
export async function requireEnd(core: CoreContext, session: Session, given: string): Promise<Message> {
  const end = await requireMessageOf(core, session, given);
  const answered = new Set<string>();
  let at: Message | null = end;
  while (at?.content.type === 'tool-result') {
    answered.add(at.content.call);
    at = at.parentId === null ? null : await requireMessageOf(core, session, at.parentId);
  }
  const calls = at && 'calls' in at.content ? at.content.calls : [];
  if (calls.every(({ id }) => answered.has(id))) return end;
  throw new CwmError('InvalidParameter', 'A branch cannot end between a tool call and its result.', {
    hint: 'Choose the last result, or the message before the call.',
  });
}

/**
 * The session with a branch that ends with this message; null: that begins with nothing. What leads to the message is shared, and so are
 * the token ids where the engine had just seen that much. It stores nothing.
 */
export function withBranchAt(session: Session, name: string, at: Message | null): Session {
  const tokens = idsAt(session, at);
  const branch: Branch = {
    name,
    head: at?.id ?? null,
    length: at?.sequence ?? 0,
    parentMessageId: at?.id ?? null,
    ...(tokens && { tokens }),
    ...(active(session)?.systemPrompt && { systemPrompt: active(session)?.systemPrompt }),
  };
  return { ...session, branches: { ...session.branches, [name]: branch } };
}

/** The session on another of its branches, whose token ids become the session's. It stores nothing. */
export function switched(session: Session, name: string): Session {
  if (name === session.activeBranch) return session;
  const left = active(session);
  const { tokens = null, ...entered } = requireBranch(session, name);
  const branches = {
    ...session.branches,
    ...(left && { [left.name]: { ...left, ...(session.tokens && { tokens: session.tokens }) } }),
    [name]: entered,
  };
  return { ...session, branches, activeBranch: name, tokens };
}

/** The active branch ends with this message. It stores nothing. */
export function endingWith(session: Session, at: Message | null): Session {
  const branch = active(session);
  if (!branch) return session;
  return {
    ...session,
    branches: { ...session.branches, [branch.name]: { ...branch, head: at?.id ?? null, length: at?.sequence ?? 0 } },
    tokens: idsAt(session, at),
  };
}

/** Null also where they are those of a text that is lost: the model must see what the user sees. */
const idsAt = ({ placeholdersAt = '' }: Session, at: Message | null): ContextTokens | null =>
  at && at.createdAt > placeholdersAt ? (at.context ?? null) : null;

const active = ({ branches, activeBranch }: Session): Branch | undefined => branches[activeBranch];

export const headOf = (session: Session): MessageId | null => active(session)?.head ?? null;
