import { firstWords } from '../../base/readableText.ts';
import type { MessageId } from '../../protocol/ids.ts';
import type { Message, Session, TokensTaken } from '../../protocol/schemas/session.ts';
import type { MessageStore } from '../ports/messages.ts';

/** A request to a model server, as the message has it that it ended with. */
export interface AskedRequest {
  readonly taken: TokensTaken;
  /** ISO 8601. */
  readonly at: string;
  /** Branches that the message is on: what they share is on each. */
  readonly branches: readonly string[];
  /** The user's message that it belongs to, on whichever branch it was answered. Null: none came before it. */
  readonly turn: { readonly id: MessageId; readonly title: string } | null;
}

/** So many messages are in memory at once. */
const loadedAtOnce = 200;

/**
 * The requests whose messages are on a branch of the session, each one once. Lost messages are left out.
 *
 * @throws CwmError Corrupted where what leads to the end of a branch is lost.
 */
export async function requestsOf(
  messages: Pick<MessageStore, 'chain' | 'loadOrStandIns'>,
  { id, branches }: Session,
): Promise<AskedRequest[]> {
  const onBranches = new Map<MessageId, string[]>();
  for (const { name, head } of Object.values(branches))
    for (const message of await messages.chain(id, head)) {
      const names = onBranches.get(message);
      if (names) names.push(name);
      else onBranches.set(message, [name]);
    }
  const turns = new Map<MessageId, AskedRequest['turn']>();
  const requests: AskedRequest[] = [];
  // A message comes behind the one that it follows, since branches are walked from their beginning.
  const all = [...onBranches.keys()];
  for (let from = 0; from < all.length; from += loadedAtOnce) {
    for (const message of await messages.loadOrStandIns(id, all.slice(from, from + loadedAtOnce), from + 1)) {
      const turn = turnOf(message) ?? (message.parentId === null ? null : (turns.get(message.parentId) ?? null));
      turns.set(message.id, turn);
      if (message.taken)
        requests.push({
          taken: message.taken,
          at: message.createdAt,
          branches: onBranches.get(message.id) ?? [],
          turn,
        });
    }
  }
  return requests;
}

function turnOf({ id, role, content }: Message): AskedRequest['turn'] {
  if (role !== 'user') return null;
  const text = content.type === 'text' ? content.text : content.type === 'context' ? content.files[0]?.path : undefined;
  return { id, title: firstWords(text ?? '') };
}
