import type { CutReason, Message, MessageContent } from '../../protocol/schemas/session.ts';
import type { Item } from '../formats/item.ts';
import type { Said } from '../recognition/conversations.ts';

/** What is said, as a session stores it. */
export function asMessage(said: Said, item: Item, createdAt: string, cut: CutReason | null): Message {
  return {
    id: said.id,
    role: item.role,
    parentId: said.before?.id ?? null,
    sequence: said.length,
    content: contentOf(said, item),
    ...(cut !== null && { cut }),
    createdAt,
  };
}

function contentOf(said: Said, item: Item): MessageContent {
  const { role, calls = [], callId = '', reasoning } = item;
  const text = withOthers(item);
  if (role === 'tool')
    return { type: 'tool-result', call: callId, name: nameOfCall(said, callId), text, outcome: 'done' };
  const thought = reasoning !== undefined && { reasoning };
  if (calls.length > 0) return { type: 'tool-calls', text, ...thought, calls: [...calls] };
  return { type: 'text', text, ...thought };
}

/** A part that is no text has a line in its place. */
const withOthers = ({ text, others = [] }: Item): string =>
  [text, ...others.map((part) => `[${part.slice(0, part.indexOf(':'))}]`)].filter((line) => line !== '').join('\n');

function nameOfCall(said: Said, callId: string): string {
  for (let at = said.before; at; at = at.before) {
    const name = at.callNames?.[callId];
    if (name !== undefined) return name;
    if (at.role === 'user') break;
  }
  return 'tool';
}
