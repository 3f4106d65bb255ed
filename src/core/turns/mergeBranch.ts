import type { RouteInput, RouteOutput } from '../../protocol/api.ts';
import { CwmError } from '../../protocol/errors.ts';
import { parseMessageId, type MessageId } from '../../protocol/ids.ts';
import type { Message, Session } from '../../protocol/schemas/session.ts';
import type { CoreContext } from '../context.ts';
import { endingWith, headOf, requireBranch } from './branchAt.ts';
import { change } from './branches.ts';
import { copyBehind } from './turn.ts';

/**
 * Brings messages together, as copies: a message never changes, and what it follows is a part of it. `append` puts the other branch's own
 * messages behind the active one's, `cherry-pick` the chosen ones of them, `rebase` the active one's own behind all of the other's.
 *
 * @throws CwmError InvalidSessionId, InvalidParameter (nothing to merge, or messages that cannot follow each other), SessionNotFound,
 *   BranchNotFound, BranchInUse (the active branch itself), AlreadyFrozen, InvalidTransition.
 */
export function mergeBranch(
  core: CoreContext,
  input: RouteInput<'mergeBranch'>,
  signal: AbortSignal,
): Promise<RouteOutput<'mergeBranch'>> {
  return change(core, input.session, signal, async (session) => {
    const from = requireBranch(session, input.branch);
    if (from.name === session.activeBranch) {
      throw new CwmError('BranchInUse', `The branch "${from.name}" cannot be merged into itself.`);
    }
    const ours = await core.store.messages.chain(session.id, headOf(session));
    const theirs = await core.store.messages.chain(session.id, from.head);
    let shared = 0;
    while (shared < ours.length && ours[shared] === theirs[shared]) shared++;
    const isRebase = input.how === 'rebase';
    const own = (isRebase ? ours : theirs).slice(shared);
    const taken = input.how === 'cherry-pick' ? chosen(own, input.messages ?? []) : own;
    if (taken.length === 0) throw new CwmError('InvalidParameter', `The branch "${from.name}" has nothing to merge.`);
    const before = isRebase ? theirs : ours;
    const last = before.at(-1);
    const [onto] = last === undefined ? [] : await core.store.messages.load(session.id, [last]);
    const copies = copiesOf(core, await core.store.messages.load(session.id, taken), onto ?? null);
    await core.store.messages.append(session.id, copies);
    return merged(session, copies, isRebase ? (from.tokens ?? null) : session.tokens);
  });
}

/** In the order of the branch, whatever order they were named in. */
function chosen(own: readonly MessageId[], names: readonly string[]): MessageId[] {
  const wanted = new Set(names.map(parseMessageId));
  const foreign = [...wanted].find((id) => !own.includes(id));
  if (foreign !== undefined) {
    throw new CwmError('InvalidParameter', `Message "${foreign}" is not one that only the other branch has.`);
  }
  return own.filter((id) => wanted.has(id));
}

/** @throws CwmError InvalidParameter where two of the same side would follow each other, which many chat templates refuse. */
function copiesOf(core: CoreContext, messages: readonly Message[], onto: Message | null): Message[] {
  requireResults(messages);
  const copies: Message[] = [];
  for (const message of messages) {
    const before: Message | null = copies.at(-1) ?? onto;
    if (before && sideAfter(before) === sideOf(message) && message.role !== 'tool') {
      throw new CwmError('InvalidParameter', `Two messages of the ${message.role} would follow each other.`, {
        hint: 'Take the question and its answer together.',
      });
    }
    copies.push(copyBehind(core, message, before));
  }
  return copies;
}

/** @throws CwmError InvalidParameter where a tool call would be without its result, or a result without its call. */
function requireResults(messages: readonly Message[]): void {
  const open = new Set<string>();
  const areWhole = messages.every(({ content }) => {
    if (content.type === 'tool-result') return open.delete(content.call);
    const isNext = open.size === 0;
    if ('calls' in content) for (const { id } of content.calls) open.add(id);
    return isNext;
  });
  if (areWhole && open.size === 0) return;
  throw new CwmError('InvalidParameter', 'A tool call and its result cannot be merged without each other.', {
    hint: 'Take the calls together with all of their results.',
  });
}

const sideOf = ({ role }: Pick<Message, 'role'>): string => role;
/** Files are an exchange of their own: the assistant has said that it understood. */
const sideAfter = ({ role, content }: Message): string => (content.type === 'context' ? 'assistant' : role);

function merged(session: Session, copies: readonly Message[], tokens: Session['tokens']): Session {
  // The ids are those of the beginning; the next prompt has the copies behind them.
  return { ...endingWith(session, copies.at(-1) ?? null), tokens };
}
