import { sha256Hex } from '../../../base/hash.ts';
import type { ContextTokens, Message, Session } from '../../../protocol/schemas/session.ts';
import { textOfUnknown } from '../../prompt/prompt.ts';
import { toolCall, toolResult } from './contentParts.ts';
import { arrayOf, createdAtOf, type JsonObject, nameOf, objectOf, type ReadConversation, Transcript } from './said.ts';

const formatName = 'cwindow';
const formatVersion = 1;

/** What the model server saw last of the conversation. */
export interface SeenTokens extends Pick<ContextTokens, 'count' | 'source'> {
  readonly ids: readonly number[];
}

/**
 * A conversation in one file that a person can read: a manifest, the messages, and the token ids that the model server saw of them. It has no
 * KV (docs/storage-format.md says why). Each part has a checksum, so that a reader is told what was changed since.
 *
 * @param seen null where no ids are known.
 */
export function writeCwindow(
  session: Session,
  system: string | null,
  messages: readonly Message[],
  seen: SeenTokens | null,
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
    checksums: { head: headChecksum(head), messages: orderChecksum(said) },
  };
  return `${JSON.stringify(file, null, 2)}\n`;
}

function fileMessage({ id, role, content, createdAt }: Message): JsonObject {
  const reasoning = 'reasoning' in content ? content.reasoning : undefined;
  const said = {
    role,
    ...partOf(content),
    ...(reasoning !== undefined && { reasoning }),
    ...('calls' in content && { calls: content.calls }),
    ...(content.type === 'text' && content.media && { media: content.media }),
  };
  return { id, ...said, createdAt, sha256: checksum(said) };
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
  if (version !== formatVersion)
    transcript.say(
      `The file is written in version ${String(version)} of the format, which this program does not know.`,
    );
  nameChanges(file, transcript);
  if (typeof system === 'string') transcript.addSystem(system);
  for (const message of messagesOf(file)) {
    const { createdAt, ...said } = objectOf(message) ?? {};
    const { role, files, reasoning, calls, media } = said;
    const text = typeof said['text'] === 'string' ? said['text'] : null;
    if (role === 'tool') {
      transcript.add({ role: 'user', text: toolResult(text ?? '', transcript), ...createdAtOf(createdAt) });
      continue;
    }
    if (role !== 'user' && role !== 'assistant') {
      transcript.count(`Messages of the role "${nameOf(role)}" that were left out`);
      continue;
    }
    const shown = (arrayOf(files) ?? []).map((each) => {
      const { path, text: content } = objectOf(each) ?? {};
      return `${nameOf(path)}\n\n${nameOf(content)}`;
    });
    const called = (arrayOf(calls) ?? []).map((call) => {
      const { name, arguments: given } = objectOf(call) ?? {};
      return toolCall(name, given, transcript);
    });
    for (const _ of arrayOf(media) ?? []) transcript.count('Pictures that were left out');
    transcript.add({
      role,
      text: [...(text === null ? shown : [text]), ...called].filter((part) => part !== '').join('\n\n'),
      ...(typeof reasoning === 'string' && { reasoning }),
      ...createdAtOf(createdAt),
    });
  }
  return transcript.conversation(file['title']);
}

const messagesOf = (file: JsonObject): readonly unknown[] => arrayOf(file['messages']) ?? [];

/** Says which parts are not those that were exported. The token ids are only compared: what they stand for, nobody could see. */
function nameChanges(file: JsonObject, transcript: Transcript): void {
  const messages = messagesOf(file).map((message) => objectOf(message) ?? {});
  for (const [at, message] of messages.entries())
    if (message['sha256'] !== checksum(message)) transcript.say(`Message ${at + 1} was changed since the export.`);
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
}

/** Over the fields that the model sees, in the order in which they are written. */
const checksum = ({ role, text, files, reasoning, calls, media }: JsonObject): string =>
  sha256Hex(JSON.stringify([role, text, files, reasoning, calls, media]));

const headChecksum = ({ title, description, tags, session, branch, model, system }: JsonObject): string =>
  sha256Hex(JSON.stringify([title, description, tags, session, branch, model, system]));

/** Over the messages' own checksums as they are written, so that a message that was changed is named once. */
const orderChecksum = (messages: readonly JsonObject[]): string =>
  sha256Hex(JSON.stringify(messages.map(({ id, sha256 }) => [id, sha256])));
