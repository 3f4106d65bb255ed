import { readParts } from '../../core/prompt/messageParts.ts';
import { isCwmError } from '../../protocol/errors.ts';
import type { CutReason, Message, MessageContent, MessagePart } from '../../protocol/schemas/session.ts';
import type { Item } from '../formats/item.ts';
import type { Said } from '../recognition/said.ts';

/** The message that one stands behind; null for the first. */
export type BeforeOf = (said: Said) => Said | null;

/** What is said, as a session stores it. Marks what is not stored whole. */
export function asMessage(said: Said, item: Item, createdAt: string, cut: CutReason | null, before: BeforeOf): Message {
  return {
    id: said.id,
    role: item.role,
    parentId: said.beforeId,
    sequence: said.length,
    content: contentOf(said, item, before),
    ...(cut !== null && { cut }),
    createdAt,
  };
}

function contentOf(said: Said, item: Item, before: BeforeOf): MessageContent {
  const { role, calls = [], callId = '', reasoning } = item;
  const parts = keptParts(item);
  const missing = notKept(item, parts !== null);
  if (missing.length > 0) said.isPartial = true;
  const text = withLines(item.text, missing);
  if (role === 'tool')
    return { type: 'tool-result', call: callId, name: nameOfCall(said, callId, before), text, outcome: 'done' };
  const thought = reasoning !== undefined && { reasoning };
  if (calls.length > 0) return { type: 'tool-calls', text, ...thought, calls: [...calls] };
  return { type: 'text', text, ...(parts && { parts }), ...thought };
}

/** Null: it has none, or they cannot be kept. */
function keptParts({ role, calls = [], parts = [] }: Item): MessagePart[] | null {
  if (role === 'tool' || calls.length > 0 || parts.length === 0) return null;
  try {
    return readParts(parts);
  } catch (error) {
    if (isCwmError(error, 'InvalidParameter')) return null;
    throw error;
  }
}

/** Names of the parts that are not kept. */
function notKept({ others = [], parts = [] }: Item, keeps: boolean): readonly string[] {
  const kept = new Set(keeps ? parts.map(({ name }) => name) : []);
  return others.filter((name) => !kept.has(name));
}

/** A part that is not kept has a line behind the text. */
const withLines = (text: string, missing: readonly string[]): string =>
  [text, ...missing.map((name) => `[${name.slice(0, name.indexOf(':'))}]`)].filter((line) => line !== '').join('\n');

function nameOfCall(said: Said, callId: string, before: BeforeOf): string {
  for (let at = before(said); at; at = before(at)) {
    const name = at.callNames?.[callId];
    if (name !== undefined) return name;
    if (at.role === 'user') break;
  }
  return 'tool';
}
