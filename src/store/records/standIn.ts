import type { MessageId } from '../../protocol/ids.ts';
import type { Message } from '../../protocol/schemas/session.ts';

/** What the session's index says of the message. */
type Listed = Pick<Message, 'role' | 'parentId' | 'createdAt'>;

interface Place {
  readonly id: MessageId;
  readonly sequence: number;
  /** The message before it; null: it is the first, or the one before is not known. */
  readonly before: Message | null;
  /** When the loss was found; ISO 8601. */
  readonly lost: string;
}

/**
 * Stands in a conversation where a message is lost (S4-05). It has the speaker of the lost message, as its line in the index says, so that
 * user and assistant still alternate, which many chat templates demand.
 */
export function standIn({ id, sequence, before, lost }: Place, listed: Listed | undefined): Message {
  return {
    id,
    role: listed?.role ?? (before?.role === 'user' ? 'assistant' : 'user'),
    parentId: listed?.parentId ?? before?.id ?? null,
    sequence,
    content: { type: 'text', text: `[The message ${id} was damaged, and its text is lost.]` },
    lost,
    createdAt: listed?.createdAt ?? before?.createdAt ?? new Date(0).toISOString(),
  };
}
