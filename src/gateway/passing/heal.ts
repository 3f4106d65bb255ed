import { chatItem } from '../formats/chatCompletions.ts';
import { splitSystem, type Item } from '../formats/item.ts';
import { listOf, objectOf, parsed, type JsonObject } from '../formats/json.ts';
import { elementsIn, fieldsIn, spliced, type Span } from '../formats/spans.ts';
import { shortHash, toolsKey } from '../recognition/canonical.ts';
import type { Conversation, Said } from '../recognition/conversations.ts';
import type { FirstBytes } from './firstBytes.ts';
import { answerKey, isExact, spellingKey } from './spellingKey.ts';

/** How a request leaves the gateway. */
export interface Healed {
  readonly sent: string;
  /** How many messages and lists of tools have their first spelling again. */
  readonly parts: number;
  /** The first system prompt of the conversation is in the place of the client's. */
  readonly isPinned: boolean;
}

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
 * A model server reuses a prompt up to the first byte that differs. Many clients spell the same call, keys and blanks differently in each
 * request; the gateway then sends the spelling of the first request.
 *
 * @param sent chat completions, as they would be sent.
 * @param last of the request's messages.
 * @param body what `sent` says, but for fields beside messages and tools. Default: it is parsed.
 */
export function heal(
  sent: string,
  last: Said,
  first: FirstBytes,
  { heals, pins }: Healing,
  body = objectOf(parsed(sent)),
): Healed {
  const as = { sent, parts: 0, isPinned: false };
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
  const isPinned = leadOf(conversation, sent, { spans: leading, messages, first, heals, pins }, changes);
  // From the last one on: a message is known by what stands before it.
  let said: Said | null = heals ? last : null;
  const behind: typeof changes = [];
  for (let at = spans.length - 1; at >= Math.max(0, lead) && said; at--, said = said.before) {
    const span = spans[at]!;
    const by = spelled(sent.slice(span.start, span.end), messages[at], said, first);
    if (by === undefined) break;
    if (by !== null) behind.push({ ...span, by });
  }
  changes.push(...behind.reverse());
  const tools = fields?.get('tools');
  if (heals && tools) toolsOf(conversation, sent, { span: tools, body, first }, changes);
  const ordered = changes.toSorted((one, other) => one.start - other.start);
  return ordered.length === 0 ? as : { sent: spliced(sent, ordered), parts: ordered.length, isPinned };
}

/** @returns null for what stays as it is, undefined for another message than the one that is known there. */
function spelled(raw: string, message: unknown, said: Said, first: FirstBytes): string | null | undefined {
  const known = first.of(said.id);
  if (known?.raw === raw) return null;
  const item = chatItem(message);
  const key = spellingKey(message, raw);
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
  readonly messages: readonly unknown[];
  readonly first: FirstBytes;
}

const systemKeyOf = (messages: readonly unknown[], raws: readonly string[]): string =>
  raws.map((raw, at) => spellingKey(messages[at], raw)).join(' ');

/** Whether a process has sent a system prompt of the conversation, and has not forgotten it. */
export const hasFirstSystem = (first: FirstBytes, { session }: Conversation): boolean =>
  first.of(`system of ${session}`) !== undefined;

/** A session of an earlier process has this text as the system prompt of the conversation. */
export function noteSystem(first: FirstBytes, { session }: Conversation, text: string): void {
  const message = { role: 'system', content: text };
  const raw = JSON.stringify(message);
  first.put(`system of ${session}`, { raw, key: systemKeyOf([message], [raw]) });
}

/** What the model reads as the system prompt: the first one, where that is pinned. */
export function systemSent(first: FirstBytes, { session }: Conversation, system: string, isPinned: boolean): string {
  const known = isPinned ? first.of(`system of ${session}`) : undefined;
  return known ? splitSystem(listOf(parsed(`[${known.raw}]`)).map(chatItem)).system : system;
}

/** System messages before all others. @returns whether another one's place was taken. */
function leadOf(
  { session }: Conversation,
  sent: string,
  { spans, messages, first, heals, pins }: Lead,
  changes: (Span & { readonly by: string })[],
): boolean {
  const [from, to] = [spans[0], spans.at(-1)];
  if (!from || !to) return false;
  const raw = sent.slice(from.start, to.end);
  const raws = spans.map(({ start, end }) => sent.slice(start, end));
  const key = systemKeyOf(messages, raws);
  const known = first.of(`system of ${session}`);
  const isSame = known?.key === key;
  if (!known || known.raw === null || (!isSame && !pins)) first.put(`system of ${session}`, { raw, key });
  else if (known.raw !== raw && (heals || !isSame)) changes.push({ start: from.start, end: to.end, by: known.raw });
  return known !== undefined && !isSame && pins;
}

function toolsOf(
  { session }: Conversation,
  sent: string,
  { span, body, first }: { readonly span: Span; readonly body: JsonObject; readonly first: FirstBytes },
  changes: (Span & { readonly by: string })[],
): void {
  const raw = sent.slice(span.start, span.end);
  const known = first.of(`tools of ${session}`);
  if (known?.raw === raw) return;
  const tools = listOf(body['tools']);
  const key = isExact(tools) ? toolsKey(tools) : shortHash(raw);
  if (known && known.raw !== null && known.key === key) changes.push({ ...span, by: known.raw });
  else first.put(`tools of ${session}`, { raw, key });
}
