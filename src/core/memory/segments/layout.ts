import type { MessageId } from '../../../protocol/ids.ts';
import type { Segment } from '../../../protocol/memory/records.ts';
import type { ContextTokens, Message } from '../../../protocol/schemas/session.ts';

/** The answer that a prompt gives to a segment, so that what follows it opens a turn of its own. */
const acknowledgement = 'Understood.';

/** The segments that a prompt begins with, oldest first and without gaps. */
export type Layout = readonly Segment[];

/**
 * The segments that the session's next prompt begins with: those of the token ids that the engine saw last, so that their prefix stays; where
 * there are no ids, or one of the segments is lost, all that fit the conversation.
 */
export function layoutOf(
  messages: readonly Message[],
  segments: readonly Segment[],
  tokens: Pick<ContextTokens, 'segments'> | null,
): Layout {
  if (tokens) {
    const named = (tokens.segments ?? []).map((id) => segments.find((segment) => segment.id === id));
    const whole = named.filter((segment) => segment !== undefined);
    if (whole.length === named.length && isGapless(messages, whole)) return whole;
  }
  const layout: Segment[] = [];
  for (;;) {
    const next = nextSegment(messages, segments, layout);
    if (!next) return layout;
    layout.push(next);
  }
}

/** The segment of the pool that continues a layout; the last one that was made where there are several. */
export function nextSegment(
  messages: readonly Message[],
  segments: readonly Segment[],
  layout: Layout,
): Segment | undefined {
  const sealed = sealedCount(layout);
  return segments.findLast((segment) => segment.firstSequence === sealed + 1 && fits(messages, segment));
}

function isGapless(messages: readonly Message[], layout: Layout): boolean {
  return layout.every(
    (segment, at) => segment.firstSequence === sealedCount(layout.slice(0, at)) + 1 && fits(messages, segment),
  );
}

/** Whether a segment is of this conversation. Messages name the one before them, so that the last one of a segment names all of them. */
export const fits = (messages: readonly Message[], { to, lastSequence }: Segment): boolean =>
  messages[lastSequence - 1]?.id === to;

/** How many messages the segments stand for. */
export const sealedCount = (layout: Layout): number => layout.at(-1)?.lastSequence ?? 0;

/** What the model gets of a conversation: an exchange for each segment, then the messages behind them. */
export function shownOf(messages: readonly Message[], layout: Layout): readonly Message[] {
  if (layout.length === 0) return messages;
  const behind = messages.slice(sealedCount(layout));
  const exchanges = layout.flatMap(exchangeOf);
  // A segment that ends within a turn has an answer behind it: it takes the place of what that answers.
  return [...(behind[0]?.role === 'assistant' ? exchanges.slice(0, -1) : exchanges), ...behind];
}

function exchangeOf({ id, text, firstSequence, at }: Segment): Message[] {
  const common = { parentId: null, sequence: firstSequence, createdAt: at };
  return [
    { ...common, id: id as MessageId, role: 'user', content: { type: 'text', text } },
    { ...common, id: `${id}-read` as MessageId, role: 'assistant', content: { type: 'text', text: acknowledgement } },
  ];
}
