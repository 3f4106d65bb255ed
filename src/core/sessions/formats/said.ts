import type { MessageId } from '../../../protocol/ids.ts';
import type { MemoryRecord } from '../../../protocol/memory/records.ts';
import type { MemorySettings } from '../../../protocol/schemas/sessionSettings.ts';
import type { Message } from '../../../protocol/schemas/session.ts';

/** A message as another program stored it. */
export interface Said {
  readonly role: 'user' | 'assistant';
  readonly text: string;
  readonly reasoning?: string;
  /** ISO 8601, where it is known. */
  readonly createdAt?: string;
}

/** A message in the product's own form. */
export interface WholeMessage extends Pick<Message, 'role' | 'content' | 'cut'> {
  /** Left out: it gets a new one. */
  readonly id?: MessageId;
  /** ISO 8601, where it is known. */
  readonly createdAt?: string;
}

/** The account of a session's virtual memory. */
export interface FileMemory {
  readonly settings: MemorySettings;
  /** About the messages of the file alone. */
  readonly records: readonly MemoryRecord[];
}

export interface ReadConversation {
  readonly title?: string;
  readonly system: string | null;
  /** Roles alternate, as chat templates demand. */
  readonly said: readonly Said[];
  /** The same messages in the product's own kinds, where the file has them. Default: `said` is all that there is. */
  readonly whole?: readonly WholeMessage[];
  /** Of its virtual memory. Default: it has none. */
  readonly memory?: FileMemory;
  /** What was left out or changed, in sentences. */
  readonly notes: readonly string[];
}

export type ReadFormat = (documents: readonly unknown[]) => ReadConversation | null;

/** Collects what a reader finds, in order. */
export class Transcript {
  readonly #said: Said[] = [];
  readonly #system: string[] = [];
  readonly #sentences: string[] = [];
  readonly #counts = new Map<string, number>();

  add(said: Said): void {
    const text = said.text.toWellFormed();
    if (text.trim() === '' && !said.reasoning) return;
    const last = this.#said.at(-1);
    if (last?.role !== said.role) {
      this.#said.push({ ...said, text });
      return;
    }
    const reasoning = behind(last.reasoning ?? '', said.reasoning ?? '');
    const joined = behind(last.text, text);
    this.#said[this.#said.length - 1] = { ...last, text: joined, ...(reasoning !== '' && { reasoning }) };
  }

  addSystem(text: string): void {
    if (text.trim() !== '') this.#system.push(text.toWellFormed());
  }

  say(sentence: string): void {
    this.#sentences.push(sentence);
  }

  /** Counts what happened several times. @param what in the plural, like `Pictures that were left out`. */
  count(what: string): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
  }

  conversation(title?: unknown): ReadConversation {
    return {
      ...(typeof title === 'string' && title.trim() !== '' && { title }),
      system: this.#system.length === 0 ? null : this.#system.join('\n\n'),
      said: this.#said,
      notes: [...this.#sentences, ...Array.from(this.#counts, ([what, count]) => `${what}: ${count}.`)],
    };
  }
}

export type JsonObject = Readonly<Record<string, unknown>>;

export const objectOf = (value: unknown): JsonObject | null =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : null;

export const arrayOf = (value: unknown): readonly unknown[] | null => (Array.isArray(value) ? value : null);

/** ISO 8601 of a time in any form that programs write; left out when it is none. */
export function createdAtOf(value: unknown): { readonly createdAt?: string } {
  if (typeof value !== 'string' && typeof value !== 'number') return {};
  // The services of OpenAI count seconds; so small a number of milliseconds would be of 1973 at the latest.
  const time = new Date(typeof value === 'number' && value < 1e11 ? value * 1000 : value);
  return Number.isNaN(time.getTime()) ? {} : { createdAt: time.toISOString() };
}

/** A name in a note: only a text is one. */
export const nameOf = (value: unknown): string => (typeof value === 'string' ? value : typeof value);

/** `+` does not copy what is there so far, as joining does: thousands of messages in a row may have one role. */
const behind = (before: string, text: string): string =>
  before === '' || text === '' ? before + text : `${before}\n\n` + text;
