import { createHash } from 'node:crypto';
import type { Layout, Part, Parts } from '../formats/format.ts';
import type { Item } from '../formats/item.ts';
import { listOf, type JsonObject } from '../formats/json.ts';
import { spliced, type Span } from '../formats/spans.ts';
import { isEmptyAnswer, shortHash, toolsKey } from '../recognition/canonical.ts';
import type { Conversation, Said } from '../recognition/said.ts';
import type { Spoken } from '../recognition/recogniser.ts';
import type { Beginning, FirstSpellings, SpellingId } from './firstSpellings.ts';
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
export function noteAnswer(first: FirstSpellings, layout: Layout, { conversation, chain }: Said, item: Item): void {
  if (item.calls)
    first.put(idOf(layout, conversation, chain), {
      raw: null,
      key: answerKey(item),
      arguments: item.calls.map((call) => call.arguments),
    });
}

const idOf = (layout: Layout, { session }: Conversation, chain: string): SpellingId =>
  `${layout.name} ${chain} in ${session}`;

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
 * @param sent as it would be sent, in a form of this layout.
 * @param turn whose request it is, and where its messages stand.
 * @param body what `sent` says, but for fields beside messages, system prompt and tools.
 */
export function heal(
  { sent, body, layout }: { readonly sent: string; readonly body: JsonObject; readonly layout: Layout },
  turn: Turn,
  first: FirstSpellings,
  { heals, pins }: Healing,
): Healed {
  const as = { sent, parts: 0, isPinned: false };
  const parts = layout.parts(sent, body);
  if (!parts) return as;
  const { conversation } = turn;
  const changes: Change[] = [];
  const known: Known = { sent, layout, first };
  const isPinned = leadOf(known, conversation, parts.lead, { heals, pins }, changes);
  if (heals) changes.push(...healedMessages(known, turn, parts.said));
  if (heals && parts.tools) toolsOf(known, conversation, parts.tools, body, changes);
  const ordered = changes.toSorted((one, other) => one.start - other.start);
  return ordered.length === 0 ? as : { sent: spliced(sent, ordered), parts: ordered.length, isPinned };
}

type Change = Span & { readonly by: string };

interface Turn {
  readonly conversation: Conversation;
  /** Where each message of the request stands, the last one first. */
  readonly places: Iterable<Spoken>;
}

/** From the last one on: a message is known by what stands before it. What begins like a request before it is healed like that. */
function healedMessages(known: Known, { conversation, places }: Turn, parts: Parts['said']): readonly Change[] {
  const { sent, layout, first } = known;
  const healed: Change[] = [];
  const spans = parts.map(around);
  const bytes = new Bytes(sent, spans);
  const walk = places[Symbol.iterator]();
  const next = (): Spoken | null => {
    const { done, value } = walk.next();
    return done === true ? null : value;
  };
  let place = next();
  const last = place && idOf(layout, conversation, place.chain);
  let left = parts.length;
  while (left > 0 && place) {
    const id = idOf(layout, conversation, place.chain);
    const begun = first.beginning(id);
    if (begun?.parts === left && begun.hash === bytes.hashOf(left)) {
      healed.push(...begun.healed.map(({ at, by }) => ({ ...spans[at]!, by })));
      left = 0;
      break;
    }
    const [part, span] = [parts[left - 1]!, spans[left - 1]!];
    const by = spelled(known, sent.slice(span.start, span.end), part, id, place);
    if (by === undefined) break;
    if (by !== null) healed.push({ ...span, by });
    for (let items = part.items.length; items > 0 && place; items--) place = next();
    left--;
  }
  if (last && left === 0) first.putBeginning(last, beginningOf(bytes, spans, healed));
  return healed;
}

function beginningOf(bytes: Bytes, spans: readonly Span[], healed: readonly Change[]): Beginning {
  const numbers = new Map(healed.length > 0 ? spans.map(({ start }, at) => [start, at]) : []);
  return {
    parts: spans.length,
    hash: bytes.hashOf(spans.length),
    healed: healed.map(({ start, by }) => ({ at: numbers.get(start)!, by })),
  };
}

/** Hashes of the first parts of a request, each with the blanks before it. */
class Bytes {
  readonly #sent: string;
  readonly #spans: readonly Span[];
  #hash = createHash('sha256');
  #hashed = 0;
  #known: { readonly count: number; readonly hash: string } | null = null;

  constructor(sent: string, spans: readonly Span[]) {
    this.#sent = sent;
    this.#spans = spans;
  }

  /** Of growing numbers, each part is hashed once. */
  hashOf(count: number): string {
    if (this.#known?.count === count) return this.#known.hash;
    if (count < this.#hashed) [this.#hash, this.#hashed] = [createHash('sha256'), 0];
    const from = this.#hashed === 0 ? (this.#spans[0]?.start ?? 0) : this.#spans[this.#hashed - 1]!.end;
    this.#hash.update(this.#sent.slice(from, this.#spans[count - 1]!.end));
    this.#hashed = count;
    this.#known = { count, hash: this.#hash.copy().digest('base64url') };
    return this.#known.hash;
  }
}

interface Known {
  readonly sent: string;
  readonly layout: Layout;
  readonly first: FirstSpellings;
}

const around = ({ spans }: Part): Span => ({ start: spans[0]?.start ?? 0, end: spans.at(-1)?.end ?? 0 });

const keyOf = (sent: string, { spans, values }: Part): string =>
  spans.map(({ start, end }, at) => spellingKey(values[at], sent.slice(start, end))).join(' ');

/** @returns null for what stays as it is, undefined for another message than the one that is known there. */
function spelled(
  { sent, layout, first }: Known,
  raw: string,
  part: Parts['said'][number],
  id: SpellingId,
  { role }: Spoken,
): string | null | undefined {
  const item = part.items.at(-1);
  // It says nothing that a conversation has, or has the place of what it answers.
  if (!item || isEmptyAnswer(item)) return null;
  const known = first.of(id);
  if (known?.raw === raw) return null;
  const key = keyOf(sent, part);
  if (known && known.raw !== null) {
    if (known.key === key) return known.raw;
    first.put(id, { ...known, raw, key });
    return null;
  }
  if (role !== item.role) return undefined;
  const own = known && known.key === answerKey(item) ? withArguments(layout, raw, known.arguments ?? []) : raw;
  first.put(id, { ...known, raw: own, key });
  return own === raw ? null : own;
}

/** The message with the arguments of its calls as the model wrote them. */
function withArguments(layout: Layout, raw: string, given: readonly string[]): string {
  const changes = layout.argumentsIn(raw).flatMap((span, at) => {
    const by = given[at];
    return span && by !== undefined ? [{ ...span, by: raw[span.start] === '"' ? JSON.stringify(by) : by }] : [];
  });
  return spliced(raw, changes);
}

/** Between parts of a system prompt; JSON has no such character outside its texts. */
const between = '\0';

/** Whether a process has sent a system prompt of the conversation in this form, and has not forgotten it. */
export const hasFirstSystem = (first: FirstSpellings, { name }: Layout, { session }: Conversation): boolean =>
  first.of(`${name} system of ${session}`) !== undefined;

/** A session of an earlier process has this text as the system prompt of the conversation. */
export function noteSystem(first: FirstSpellings, layout: Layout, { session }: Conversation, text: string): void {
  const lead = layout.leadOf(text);
  first.put(`${layout.name} system of ${session}`, {
    raw: lead.map(({ raw }) => raw).join(between),
    key: lead.map(({ raw, value }) => spellingKey(value, raw)).join(' '),
  });
}

/** What the model reads as the system prompt: the first one, where that is pinned. */
export function systemSent(
  first: FirstSpellings,
  layout: Layout,
  { session }: Conversation,
  system: string,
  isPinned: boolean,
): string {
  const known = isPinned ? first.of(`${layout.name} system of ${session}`) : undefined;
  return known ? layout.systemOf((known.raw ?? '').split(between)) : system;
}

/** Whether a message stands there, and not the value of a field. */
const isElement = (text: string, at = 0): boolean => text[at] === '{';

/** The system prompt. @returns whether another one's place was taken. */
function leadOf(
  { sent, layout, first }: Known,
  { session }: Conversation,
  lead: readonly Part[],
  { heals, pins }: Healing,
  changes: Change[],
): boolean {
  if (lead.length === 0) return false;
  const spans = lead.map(around);
  const raw = spans.map(({ start, end }) => sent.slice(start, end)).join(between);
  const key = lead.map((part) => keyOf(sent, part)).join(' ');
  const id = `${layout.name} system of ${session}` as const;
  const known = first.of(id);
  const isSame = known?.key === key;
  const raws = known?.raw?.split(between) ?? [];
  if (known?.raw === raw) return false;
  const isAlike =
    raws.length === spans.length &&
    spans.every(({ start }, at) => isElement(sent, start) === isElement(raws[at] ?? ''));
  if (!isAlike || (!isSame && !pins)) {
    first.put(id, { raw, key });
    return false;
  }
  if (heals || !isSame)
    for (const [at, span] of spans.entries()) {
      const by = raws[at] ?? '';
      if (by !== sent.slice(span.start, span.end)) changes.push({ ...span, by });
    }
  return !isSame;
}

function toolsOf(
  { sent, layout, first }: Known,
  { session }: Conversation,
  span: Span,
  body: JsonObject,
  changes: Change[],
): void {
  const raw = sent.slice(span.start, span.end);
  const id = `${layout.name} tools of ${session}` as const;
  const known = first.of(id);
  if (known?.raw === raw) return;
  const tools = listOf(body['tools']);
  const key = isExact(tools) ? toolsKey(tools) : shortHash(raw);
  if (known && known.raw !== null && known.key === key) changes.push({ ...span, by: known.raw });
  else first.put(id, { raw, key });
}
