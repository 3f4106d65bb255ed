import { commonSuffixLength, endsWithIds } from '../../base/tokenIds.ts';
import type { ChatMessage, Engine } from '../ports/engine.ts';

/** Two last messages that have no last token in common, and whose last token takes nothing of what follows into itself. */
const markers = ['This is the answer alpha', 'This is the answer 7'] as const;
/** Stands for older messages, whose text does not change how new ones are rendered. */
const stub = 'x';

export interface ContinuedChat {
  /** All chat messages, the new ones last. */
  readonly messages: readonly ChatMessage[];
  /** How many of them are old; at least one. */
  readonly oldCount: number;
  readonly addGenerationPrompt: boolean;
}

/**
 * What the chat template puts behind the text of the last old message: the end of its turn, the new messages, and what opens an answer.
 * It is what two renderings have in common at their end that differ in that text alone, so whatever the template does before it, a
 * date, dropped reasoning, another order of tools, has no part in it.
 *
 * @param rendered the whole conversation as the template renders it now; what is found must be its end.
 * @returns null where no such end can be told.
 * @throws CwmError as `tokenize`.
 */
export async function renderBehind(
  engine: Pick<Engine, 'tokenize'>,
  conversation: ContinuedChat,
  rendered: readonly number[],
  signal: AbortSignal,
): Promise<readonly number[] | null> {
  for (const shorten of [true, false]) {
    const [one = [], other = []] = await Promise.all(
      markers.map((marker) =>
        engine.tokenize(marked(conversation, marker, shorten), conversation.addGenerationPrompt, signal),
      ),
    );
    const length = commonSuffixLength(one, other);
    const behind = one.slice(one.length - length);
    // A template that looks at the text of old messages gets them as they are.
    if (length > 0 && length < one.length && endsWithIds(rendered, behind)) return behind;
  }
  return null;
}

function marked({ messages, oldCount }: ContinuedChat, marker: string, shorten: boolean): ChatMessage[] {
  return messages.map((message, index) => {
    if (index === oldCount - 1) return { ...message, content: marker };
    const isShort = shorten && index < oldCount - 1 && message.role !== 'system';
    return isShort ? { ...message, content: stub } : message;
  });
}

/**
 * One prompt of old ids and what the template puts behind them. The model wrote the end of its turn itself, unless its answer was cut:
 * it is there once.
 */
export function joinIds(ids: readonly number[], behind: readonly number[]): number[] {
  let shared = Math.min(ids.length, behind.length);
  while (shared > 0 && !isShared(ids, behind, shared)) shared--;
  return [...ids, ...behind.slice(shared)];
}

/** Whether the last `length` of the ids are the first of what stands behind them. */
function isShared(ids: readonly number[], behind: readonly number[], length: number): boolean {
  const from = ids.length - length;
  for (let index = 0; index < length; index++) if (ids[from + index] !== behind[index]) return false;
  return true;
}
