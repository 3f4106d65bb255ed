import { chatItem } from '../formats/chatCompletions.ts';
import { splitSystem, type Item } from '../formats/item.ts';
import { listOf, objectOf, parsed, type JsonObject } from '../formats/json.ts';
import { elementsIn, fieldsIn, spliced, type Span } from '../formats/spans.ts';
import { canonical, shortHash, toolsKey } from '../recognition/canonical.ts';
import type { Conversation, Said, Spelled } from '../recognition/conversations.ts';
import type { FirstBytes } from './firstBytes.ts';

/** How a request leaves the gateway. */
export interface Healed {
  readonly sent: string;
  /** How many messages and lists of tools have their first spelling again. */
  readonly parts: number;
  /** The first system prompt of the conversation is in the place of the client's. */
  readonly isPinned: boolean;
}

/** What must be equal for two spellings of a message to be the same one, whichever the model reads. */
const spellingKey = (item: Item): string => shortHash(JSON.stringify([answerKey(item), item.reasoning ?? null]));

/** The same for an answer of which clients send no reasoning back. */
const answerKey = (item: Item): string =>
  JSON.stringify([canonical(item), item.calls?.map(({ id }) => id), item.callId ?? null]);

/** An answer of the model: its calls have the spelling that the server's memory has. */
export function noteAnswer(first: FirstBytes, { id }: Said, item: Item): void {
  if (item.calls)
    first.put(id, { raw: null, key: answerKey(item), arguments: item.calls.map((call) => call.arguments) });
}

export interface Healing {
  /** What means the same is sent as it was sent first. */
  readonly heals: boolean;
  /** The first system prompt of a conversation takes the place of every later one. */
  readonly pins: boolean;
}

/**
 * A model server reuses a prompt only as far as its bytes are those that it saw. Clients write arguments of calls, keys and blanks anew in each
 * request: what means the same as before is sent as it was before.
 *
 * @param sent chat completions, as they would be sent.
 * @param last of the request's messages.
 */
export function heal(sent: string, last: Said, first: FirstBytes, { heals, pins }: Healing): Healed {
  const as = { sent, parts: 0, isPinned: false };
  const body = objectOf(parsed(sent));
  const fields = body && fieldsIn(sent);
  const list = fields?.get('messages');
  const spans = list && elementsIn(sent, list.start);
  const messages = listOf(body?.['messages']);
  if (!body || !spans || spans.length !== messages.length || spans.length === 0) return as;
  const { conversation } = last;
  const changes: (Span & { readonly by: string })[] = [];
  const items = messages.map(chatItem);
  const lead = items.findIndex(({ role }) => role !== 'system');
  const leading = spans.slice(0, Math.max(0, lead));
  const isPinned = leadOf(conversation, sent, { spans: leading, items, heals, pins }, changes);
  // From the last one on: a message is known by what stands before it.
  let said: Said | null = heals ? last : null;
  const behind: typeof changes = [];
  for (let at = spans.length - 1; at >= Math.max(0, lead) && said; at--, said = said.before) {
    const span = spans[at]!;
    const by = spelled(sent.slice(span.start, span.end), items[at]!, said, first);
    if (by === undefined) break;
    if (by !== null) behind.push({ ...span, by });
  }
  changes.push(...behind.reverse());
  const tools = fields?.get('tools');
  if (heals && tools) toolsOf(conversation, sent, tools, body, changes);
  const ordered = changes.toSorted((one, other) => one.start - other.start);
  return ordered.length === 0 ? as : { sent: spliced(sent, ordered), parts: ordered.length, isPinned };
}

/** @returns null for what stays as it is, undefined for another message than the one that is known there. */
function spelled(raw: string, item: Item, said: Said, first: FirstBytes): string | null | undefined {
  const known = first.of(said.id);
  if (known?.raw === raw) return null;
  const key = spellingKey(item);
  if (known && known.raw !== null) {
    if (known.key === key) return known.raw;
    first.put(said.id, { ...known, raw, key });
    return null;
  }
  if (said.role !== item.role) return undefined;
  const own = known && known.key === answerKey(item) ? withArguments(raw, known.arguments ?? []) : raw;
  first.put(said.id, { ...known, raw: own, key });
  return own === raw ? null : own;
}

/** The message with the arguments of its calls as the model wrote them. */
function withArguments(raw: string, given: readonly string[]): string {
  const calls = fieldsIn(raw)?.get('tool_calls');
  const changes = (calls ? (elementsIn(raw, calls.start) ?? []) : []).flatMap(({ start }, at) => {
    const called = fieldsIn(raw, start)?.get('function');
    const span = called && fieldsIn(raw, called.start)?.get('arguments');
    const by = given[at];
    // Some clients send an object there, which is for the server to spell.
    return span && by !== undefined && raw[span.start] === '"' ? [{ ...span, by: JSON.stringify(by) }] : [];
  });
  return spliced(raw, changes);
}

interface Lead extends Healing {
  readonly spans: readonly Span[];
  readonly items: readonly Item[];
}

const systemKeyOf = (system: string): string => shortHash(system.trimEnd());

/** What a session of an earlier process has as the system prompt of a conversation. */
export const spelledSystem = (text: string): Spelled => ({
  raw: JSON.stringify({ role: 'system', content: text }),
  key: systemKeyOf(text),
});

/** What the model reads as the system prompt: the first one, where that is pinned. */
export const systemSent = ({ firstSystem }: Conversation, system: string, isPinned: boolean): string =>
  isPinned && firstSystem ? splitSystem(listOf(parsed(`[${firstSystem.raw}]`)).map(chatItem)).system : system;

/** System messages before all others. @returns whether another one's place was taken. */
function leadOf(
  conversation: Conversation,
  sent: string,
  { spans, items, heals, pins }: Lead,
  changes: (Span & { readonly by: string })[],
): boolean {
  const [from, to] = [spans[0], spans.at(-1)];
  if (!from || !to) return false;
  const raw = sent.slice(from.start, to.end);
  const key = systemKeyOf(splitSystem(items).system);
  const known = conversation.firstSystem;
  const isSame = known?.key === key;
  if (!known || (!isSame && !pins)) conversation.firstSystem = { raw, key };
  else if (known.raw !== raw && (heals || !isSame)) changes.push({ start: from.start, end: to.end, by: known.raw });
  return known !== null && !isSame && pins;
}

function toolsOf(
  conversation: Conversation,
  sent: string,
  span: Span,
  body: JsonObject,
  changes: (Span & { readonly by: string })[],
): void {
  const raw = sent.slice(span.start, span.end);
  const known = conversation.firstTools;
  if (known?.raw === raw) return;
  const key = toolsKey(listOf(body['tools']));
  if (known?.key === key) changes.push({ ...span, by: known.raw });
  else conversation.firstTools = { raw, key };
}
