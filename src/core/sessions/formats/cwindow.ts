import { sha256Hex } from '../../../base/hash.ts';
import {
  type ContextTokens,
  cutReasons,
  type Message,
  messageContentSchema,
  type Session,
} from '../../../protocol/schemas/session.ts';
import { textOfUnknown } from '../../prompt/prompt.ts';
import { toolCall, toolResult } from './contentParts.ts';
import { fileMemory, readMemory } from './cwindowMemory.ts';
import {
  arrayOf,
  createdAtOf,
  type FileMemory,
  type JsonObject,
  nameOf,
  objectOf,
  type ReadConversation,
  Transcript,
  type WholeMessage,
} from './said.ts';

const formatName = 'cwindow';
/** The first version had no kinds of messages: tool calls and plans came in as text. */
const formatVersion = 2;

/** What the model server saw last of the conversation. */
export interface SeenTokens extends Pick<ContextTokens, 'count' | 'source'> {
  readonly ids: readonly number[];
}

/** What a file has of a conversation besides its text. */
interface Remembered {
  /** Null where no ids are known. */
  readonly seen: SeenTokens | null;
  /** Null where the session has no virtual memory. */
  readonly memory: FileMemory | null;
}

/**
 * A conversation in one file that a person can read: a manifest, the messages, and the token ids that the model server saw of them. It has no
 * KV (docs/storage-format.md says why). Each part has a checksum, so that a reader is told what was changed since.
 */
export function writeCwindow(
  session: Session,
  system: string | null,
  messages: readonly Message[],
  { seen, memory }: Remembered,
): string {
  const { title, description, tags, model } = session;
  const head = {
    format: formatName,
    version: formatVersion,
    title,
    ...(description !== undefined && { description }),
    ...(tags && { tags }),
    session: session.id,
    branch: session.activeBranch,
    model: model && { id: model.id, fingerprint: model.fingerprint },
    system,
  };
  const said = messages.map(fileMessage);
  const tokens = seen && { count: seen.count, source: seen.source, ids: seen.ids.join(' ') };
  const file = {
    ...head,
    ...(tokens && { tokens: { ...tokens, sha256: sha256Hex(tokens.ids) } }),
    messages: said,
    ...(memory && { memory: fileMemory(memory) }),
    checksums: { head: headChecksum(head), messages: orderChecksum(said) },
  };
  return `${JSON.stringify(file, null, 2)}\n`;
}

function fileMessage({ id, role, content, cut, createdAt }: Message): JsonObject {
  const reasoning = 'reasoning' in content ? content.reasoning : undefined;
  const said = {
    role,
    kind: content.type,
    ...partOf(content),
    ...(reasoning !== undefined && { reasoning }),
    ...('calls' in content && { calls: content.calls }),
    ...(content.type === 'text' && content.media && { media: content.media }),
    ...(content.type === 'text' && content.parts && { parts: content.parts }),
    ...('excerpt' in content && content.excerpt && { excerpt: content.excerpt }),
    ...(content.type === 'tool-result' && { call: content.call, name: content.name, outcome: content.outcome }),
    ...(content.type === 'unknown' && { whole: { ...content.whole, type: content.kind } }),
    ...(cut !== undefined && { cut }),
  };
  return { id, ...said, createdAt, sha256: checksum(said, formatVersion) };
}

function partOf(content: Message['content']): JsonObject {
  if (content.type === 'context') return { files: content.files };
  return { text: content.type === 'unknown' ? textOfUnknown(content) : content.text };
}

export function readCwindow([document, ...others]: readonly unknown[]): ReadConversation | null {
  const file = objectOf(document);
  if (file?.['format'] !== formatName || others.length > 0) return null;
  const transcript = new Transcript();
  const { system, version } = file;
  if (version !== 1 && version !== formatVersion)
    transcript.say(
      `The file is written in version ${String(version)} of the format, which this program does not know.`,
    );
  const isUnchanged = nameChanges(file, transcript);
  if (typeof system === 'string') transcript.addSystem(system);
  const whole = version === formatVersion ? wholeMessages(messagesOf(file), transcript) : null;
  // What is whole needs no notes about what became text.
  const texts = whole ? new Transcript() : transcript;
  for (const message of messagesOf(file)) {
    const { createdAt, ...said } = objectOf(message) ?? {};
    const { role, files, reasoning, calls, media, parts } = said;
    const text = typeof said['text'] === 'string' ? said['text'] : null;
    if (role === 'tool') {
      texts.add({ role: 'user', text: toolResult(text ?? '', texts), ...createdAtOf(createdAt) });
      continue;
    }
    if (role !== 'user' && role !== 'assistant') {
      texts.count(`Messages of the role "${nameOf(role)}" that were left out`);
      continue;
    }
    const shown = (arrayOf(files) ?? []).map((each) => {
      const { path, text: content } = objectOf(each) ?? {};
      return `${nameOf(path)}\n\n${nameOf(content)}`;
    });
    const called = (arrayOf(calls) ?? []).map((call) => {
      const { name, arguments: given } = objectOf(call) ?? {};
      return toolCall(name, given, texts);
    });
    for (const _ of arrayOf(media) ?? []) texts.count('Pictures that were left out');
    for (const _ of arrayOf(parts) ?? []) texts.count('Sounds, videos and files that were left out');
    texts.add({
      role,
      text: [...(text === null ? shown : [text]), ...called].filter((part) => part !== '').join('\n\n'),
      ...(typeof reasoning === 'string' && { reasoning }),
      ...createdAtOf(createdAt),
    });
  }
  const memory = readMemory(file, whole !== null && isUnchanged && !hasPictures(messagesOf(file)), transcript);
  const read = transcript.conversation(file['title']);
  return {
    ...read,
    ...(whole && {
      said: texts.conversation().said,
      whole: whole.map((each, at) => ({ ...each, ...(memory?.ids && { id: memory.ids[at] }) })),
    }),
    ...(memory && { memory }),
  };
}

const messagesOf = (file: JsonObject): readonly unknown[] => arrayOf(file['messages']) ?? [];

/**
 * The messages in their own kinds. Null where they would make no conversation of a session: roles that do not take turns, a kind that does not fit
 * its role, a call without its one result. Then their text comes in, as it does from another program.
 */
function wholeMessages(messages: readonly unknown[], transcript: Transcript): WholeMessage[] | null {
  const whole: WholeMessage[] = [];
  const open = new Set<string>();
  let speaks: 'user' | 'assistant' = 'user';
  for (const message of messages) {
    const { createdAt, role, kind, cut, whole: later, ...fields } = objectOf(wellFormed(message)) ?? {};
    const content = messageContentSchema.safeParse(
      kind === 'unknown' ? { type: kind, kind: objectOf(later)?.['type'], whole: later } : { type: kind, ...fields },
    ).data;
    if (!content) return null;
    if (open.size > 0 !== (content.type === 'tool-result')) return null;
    const fits = roleOf(content, speaks, role);
    if (fits === null || fits !== role) return null;
    if (content.type === 'tool-result' && !open.delete(content.call)) return null;
    if ('calls' in content) for (const { id } of content.calls) if (open.has(id) || !open.add(id)) return null;
    if ('calls' in content && content.calls.length === 0) return null;
    // Files are an exchange of their own.
    if (content.type !== 'context' && content.type !== 'tool-result' && role !== 'system')
      speaks = role === 'user' || 'calls' in content ? 'assistant' : 'user';
    const known = cutReasons.find((reason) => reason === cut);
    whole.push({
      role: fits,
      content: withoutPictures(content, transcript),
      ...(known && role === 'assistant' && { cut: known }),
      ...createdAtOf(createdAt),
    });
  }
  return open.size === 0 ? whole : null;
}

/** No text has half a character. */
const wellFormed = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value), (_, each: unknown) => (typeof each === 'string' ? each.toWellFormed() : each));

/** The role that a message of this kind has; null: it cannot stand here. */
function roleOf({ type }: Message['content'], speaks: 'user' | 'assistant', role: unknown): Message['role'] | null {
  switch (type) {
    case 'text':
      return speaks;
    case 'context':
      return speaks === 'user' ? 'user' : null;
    case 'plan':
    case 'tool-calls':
    case 'question':
      return speaks === 'assistant' ? 'assistant' : null;
    case 'tool-result':
      return 'tool';
    case 'unknown':
      // What a later version says to itself, no model gets.
      return role === 'system' ? role : speaks;
  }
}

/** Pictures are named by their bytes, which the file does not vouch for. */
function withoutPictures(content: Message['content'], transcript: Transcript): Message['content'] {
  if (content.type !== 'text' || !(content.media || content.parts)) return content;
  const { media = [], parts = [], ...rest } = content;
  for (const _ of media) transcript.count('Pictures that were left out');
  for (const _ of parts) transcript.count('Sounds, videos and files that were left out');
  return rest;
}

/**
 * Says which parts are not those that were exported. The token ids are only compared: what they stand for, nobody could see.
 *
 * @returns whether the messages are those that were exported.
 */
function nameChanges(file: JsonObject, transcript: Transcript): boolean {
  const messages = messagesOf(file).map((message) => objectOf(message) ?? {});
  const isOther = (message: JsonObject): boolean => message['sha256'] !== checksum(message, file['version']);
  for (const [at, message] of messages.entries())
    if (isOther(message)) transcript.say(`Message ${at + 1} was changed since the export.`);
  // The first files had no other checksums.
  const sums = objectOf(file['checksums']);
  if (sums && sums['head'] !== headChecksum(file))
    transcript.say(
      'The title, the description, the tags, the model or the system prompt were changed since the export.',
    );
  if (sums && sums['messages'] !== orderChecksum(messages))
    transcript.say('Messages were added, removed or moved since the export.');
  const tokens = objectOf(file['tokens']);
  if (tokens && tokens['sha256'] !== sha256Hex(nameOf(tokens['ids'])))
    transcript.say('The token ids were changed since the export.');
  return sums?.['messages'] === orderChecksum(messages) && !messages.some(isOther);
}

const hasPictures = (messages: readonly unknown[]): boolean =>
  messages.some((message) =>
    ['media', 'parts'].some((field) => (arrayOf(objectOf(message)?.[field]) ?? []).length > 0),
  );

/** Over the fields that say what was said, in the order in which they are written. */
const checksum = (message: JsonObject, version: unknown): string => {
  const { role, text, files, reasoning, calls, media, parts, kind, call, name, outcome, whole, cut, excerpt } = message;
  const first = [role, text, files, reasoning, calls, media];
  return sha256Hex(
    JSON.stringify(
      version === 1
        ? first
        : [
            ...first,
            kind,
            call,
            name,
            outcome,
            whole,
            cut,
            ...(excerpt === undefined ? [] : [excerpt]),
            ...(parts === undefined ? [] : [parts]),
          ],
    ),
  );
};

const headChecksum = ({ title, description, tags, session, branch, model, system }: JsonObject): string =>
  sha256Hex(JSON.stringify([title, description, tags, session, branch, model, system]));

/** Over the messages' own checksums as they are written, so that a message that was changed is named once. */
const orderChecksum = (messages: readonly JsonObject[]): string =>
  sha256Hex(JSON.stringify(messages.map(({ id, sha256 }) => [id, sha256])));
