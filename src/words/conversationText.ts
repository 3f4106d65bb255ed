import type { Message, MessagePart, Picture, ShownMessage } from '../protocol/schemas/session.ts';
import type { Question } from '../protocol/schemas/toolCall.ts';
import { formatBytes, formatCount } from '../base/format.ts';
import { firstWords, readableLine } from '../base/readableText.ts';
import { plural } from './amounts.ts';
import { cutSentence } from './cut.ts';
import { code, plain } from './markdown.ts';
import type { Table } from './rows.ts';
import { costWords } from './usage.ts';

/** Who says a message, by its role. */
export const speakers: Readonly<Record<Message['role'], string>> = {
  system: 'System',
  user: 'You',
  assistant: 'Model',
  tool: 'Tool',
};

type SaidMessage = Pick<Message, 'role' | 'content' | 'lost' | 'cut'>;

export interface ShownConversation {
  /** Null: the text has no title. */
  readonly title: string | null;
  readonly messages: readonly SaidMessage[];
  /** Messages before the first of `messages` that were not loaded. */
  readonly earlier: number;
  /** A message in progress: its text (null: it is among the messages), and the part of the answer that has arrived. Null once the backend has stored both. */
  readonly pending: { readonly text: string | null; readonly answer: string } | null;
}

/** The conversation as markdown, oldest message first. */
export function conversationText(conversation: ShownConversation): string {
  const { title, messages, earlier, pending } = conversation;
  const parts = title === null ? [] : [`# ${plain(title)}`];
  if (earlier > 0) parts.push(`*${earlier} earlier messages are not shown.*`);
  parts.push(...messages.map(messageText));
  if (pending !== null) {
    if (pending.text !== null) parts.push(section('You', pending.text));
    parts.push(section('Model', pending.answer === '' ? '…' : `${pending.answer} …`));
  }
  if (messages.length === 0 && pending === null) parts.push('*There are no messages yet.*');
  return `${parts.join('\n\n')}\n`;
}

function messageText({ role, content, lost, cut }: SaidMessage): string {
  if (lost) return section('Lost message', content.type === 'text' ? content.text : '');
  if (content.type === 'unknown') return section('Message of an unknown kind', unknownText(content));
  if (content.type === 'plan') return section('Plan', textWithCut(content.text, cut));
  if (content.type === 'text') {
    const pictures = [
      ...(content.media ?? []).map(pictureLine),
      ...(content.parts ?? []).map((part) => `*(${partWords(part)})*`),
    ];
    return section(speakers[role], textWithCut([...pictures, content.text].join('\n\n'), cut));
  }
  if (content.type === 'tool-calls' || content.type === 'question') {
    const calls = content.calls.map(({ name, arguments: given, question }) =>
      question ? questionText(question) : `- ${code(`${name} ${given}`)}`,
    );
    return section(
      callsHeading(content.type),
      [content.text, calls.join(content.type === 'question' ? '\n\n' : '\n')]
        .filter((part) => part !== '')
        .join('\n\n'),
    );
  }
  if (content.type === 'tool-result') return section(`Tool ${plain(content.name)} (${content.outcome})`, content.text);
  const lines = content.files.map(({ path, text }) => `- ${plain(path)} (${formatBytes(Buffer.byteLength(text))})`);
  return section('Files added to the context', lines.join('\n'));
}

/** Over calls of tools, of which some may ask the user. */
export const callsHeading = (type: 'tool-calls' | 'question'): string =>
  type === 'question' ? 'Model asks you' : 'Model calls tools';

function questionText({ text, choices = [] }: Question): string {
  const proposed = choices.map((choice, at) => `${at + 1}. ${plain(choice)}`);
  return [text, ...(proposed.length === 0 ? [] : [proposed.join('\n')])].join('\n\n');
}

/** What can be said of a message that a later version stored. */
export function unknownText({ kind, whole }: Extract<Message['content'], { readonly type: 'unknown' }>): string {
  const said = typeof whole['text'] === 'string' ? `\n\n${whole['text']}` : '';
  return `A later version of this program stored it, as "${plain(kind)}". It is stored whole.${said}`;
}

const textWithCut = (text: string, cut: Message['cut']): string =>
  `${text.trim() === '' ? '*(empty)*' : text.trim()}${cut === undefined ? '' : `\n\n*${cutSentence(cut)}*`}`;

/** A sound, a video or a file of a message in a few words. */
export const partWords = ({ type, mediaType, sizeBytes }: MessagePart): string =>
  [type, ...(mediaType === null ? [] : [mediaType]), ...(sizeBytes === null ? [] : [formatBytes(sizeBytes)])].join(
    ', ',
  );

const pictureLine = ({ mediaType, sizeBytes }: Picture): string =>
  `*(picture: ${mediaType.replace('image/', '').toUpperCase()}, ${formatBytes(sizeBytes)})*`;

const section = (name: string, text: string): string =>
  `## ${name}\n\n${text.trim() === '' ? '*(empty)*' : text.trim()}`;

/** What each message took, and how it begins. A column that nothing would stand in is left out. */
export function messagesTable(messages: readonly ShownMessage[]): Table {
  const count = (tokens: number | null | undefined): string =>
    tokens === null || tokens === undefined ? '' : formatCount(tokens);
  const hasCosts = messages.some(({ cost }) => cost);
  return {
    head: ['', 'Message', 'Who', 'Prompted', 'Reused', 'Generated', ...(hasCosts ? ['Cost'] : []), 'Text'],
    rows: messages.map(({ id, sequence, role, content, lost, taken, cost }) => [
      String(sequence),
      id,
      speakers[role],
      count(taken?.promptTokens),
      count(taken?.cachedTokens),
      count(taken?.outputTokens),
      ...(hasCosts ? [taken ? (costWords(cost) ?? 'not known') : ''] : []),
      lost === undefined ? beginning(content) : 'lost',
    ]),
  };
}

/** How a message begins, in a line. */
function beginning(content: Message['content']): string {
  switch (content.type) {
    case 'text':
      return (
        firstWords(readableLine(content.text)) ||
        `(${content.parts?.[0] ? partWords(content.parts[0]) : plural(content.media?.length ?? 0, 'picture')})`
      );
    case 'plan':
      return `Plan: ${firstWords(readableLine(content.text))}`;
    case 'context':
      return firstWords(readableLine(content.files.map(({ path }) => path).join(', ')));
    case 'tool-calls':
    case 'question':
      return content.calls
        .map(({ name, arguments: given, question }) =>
          firstWords(readableLine(question ? `asks: ${question.text}` : `calls ${name} ${given}`)),
        )
        .join('; ');
    case 'tool-result':
      return `${readableLine(content.name)} (${content.outcome}): ${firstWords(readableLine(content.text))}`;
    case 'unknown':
      return `a message of the kind "${readableLine(content.kind)}"`;
  }
}
