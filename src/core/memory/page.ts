import type { MemoryPage, Modality, PageKind } from '../../protocol/memory/page.ts';
import type { Message } from '../../protocol/schemas/session.ts';
import { pageIdOf } from '../prompt/pageId.ts';
import { partLine } from '../prompt/messageParts.ts';
import { renderFile, textOfUnknown } from '../prompt/prompt.ts';

export { pageIdOf, type PageId } from '../prompt/pageId.ts';

/** Characters of a hint (S1-62). */
export const hintCharacters = 120;

/**
 * What a page id says, as a model may write it: with marks around it, or without the last digits.
 *
 * @returns null where it is none.
 */
export function parsePageId(value: string): { readonly sequence: number; readonly digits: string | null } | null {
  const match = /^\W*p(\d{1,9})(?:-([0-9a-f]{4}))?\W*$/i.exec(value);
  return match ? { sequence: Number(match[1]), digits: match[2]?.toLowerCase() ?? null } : null;
}

/** A message as a page: nothing of it is in a prompt yet. The message in the store stays the only copy of the text. */
export function pageOf(message: Message, tokens: number | null): MemoryPage {
  return {
    id: pageIdOf(message),
    kind: kindOf(message),
    modality: modalityOf(message),
    messageIds: [message.id],
    sequence: message.sequence,
    represents: [],
    sizeBytes: Buffer.byteLength(textOf(message)),
    tokens,
    importance: importances[message.role],
    pinned: false,
    pinnedBy: null,
    tier: 'L2',
    accesses: 0,
    accessedAt: message.sequence,
    level: 0,
  };
}

/** Importances by who speaks (S1-22). */
const importances: Readonly<Record<Message['role'], number>> = { user: 0.6, assistant: 0.5, tool: 0.4, system: 0.9 };

/** The text of a page, as the model once had it: a text message's own bytes. Behind lines that say what other parts it had. */
export function textOf({ content }: Pick<Message, 'content'>): string {
  switch (content.type) {
    case 'context':
      return content.files.map(renderFile).join('\n\n');
    case 'tool-calls':
    case 'question': {
      const calls = content.calls.map(({ name, arguments: given }) => `${name}(${given})`);
      return [...(content.text === '' ? [] : [content.text]), ...calls].join('\n');
    }
    case 'unknown':
      return textOfUnknown(content);
    case 'text':
      return content.parts ? [...content.parts.map(partLine), content.text].join('\n').trimEnd() : content.text;
    case 'plan':
    case 'tool-result':
      return content.text;
  }
}

function kindOf({ content }: Message): PageKind {
  return content.type === 'tool-result' || content.type === 'context' ? 'artifact' : 'transcript';
}

function modalityOf({ content }: Message): Modality {
  const [part] = content.type === 'text' ? (content.parts ?? []) : [];
  if (part) return part.type === 'file' ? 'structured' : part.type;
  if (content.type === 'text' && content.media) return 'image';
  return content.type === 'tool-calls' || content.type === 'question' ? 'structured' : 'text';
}

/** Who said it and how it begins, on one line of at most {@link hintCharacters} characters behind the role. */
export function hintOf(message: Pick<Message, 'role' | 'content'>, characters: number = hintCharacters): string {
  const text = textOf(message);
  // The beginning of a long text says it, unless that is mostly white space.
  const begun = onOneLine(text.slice(0, 4 * hintCharacters));
  const line = begun.length > characters ? begun : onOneLine(text);
  const short = line.length <= characters ? line : `${line.slice(0, Math.max(0, characters - 1)).toWellFormed()}…`;
  return `[${message.role}] ${short}`;
}

/** The same of a page that is made of others. */
export const derivedHint = (kind: PageKind, text: string): string =>
  `[${kind}] ${onOneLine(text.split('\n', 1)[0] ?? '')
    .slice(0, hintCharacters)
    .toWellFormed()}`;

const onOneLine = (text: string): string => text.replaceAll(/\s+/g, ' ').trim();
