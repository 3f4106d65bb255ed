import { sha256Hex } from '../../../base/hash.ts';
import type { Message, Session } from '../../../protocol/schemas/session.ts';
import { toolCall, toolResult } from './contentParts.ts';
import { arrayOf, createdAtOf, nameOf, objectOf, type ReadConversation, Transcript } from './said.ts';

const formatName = 'cwindow';
const formatVersion = 1;

/**
 * A conversation in one file that a person can read. It has no KV and no token ids, since its reader could not see what they stand for: the
 * model server computes the text. Each message has a checksum, which shows what was changed since.
 */
export function writeCwindow(session: Session, system: string | null, messages: readonly Message[]): string {
  const { title, description, tags, model } = session;
  const file = {
    format: formatName,
    version: formatVersion,
    title,
    ...(description !== undefined && { description }),
    ...(tags && { tags }),
    model: model && { id: model.id, fingerprint: model.fingerprint },
    system,
    messages: messages.map(({ role, content, createdAt }) => {
      const reasoning = 'reasoning' in content ? content.reasoning : undefined;
      const said = {
        role,
        ...(content.type === 'context' ? { files: content.files } : { text: content.text }),
        ...(reasoning !== undefined && { reasoning }),
        ...(content.type === 'tool-calls' && { calls: content.calls }),
        ...(content.type === 'text' && content.media && { media: content.media }),
      };
      return { ...said, createdAt, sha256: checksum(said) };
    }),
  };
  return `${JSON.stringify(file, null, 2)}\n`;
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
  if (typeof system === 'string') transcript.addSystem(system);
  for (const [at, message] of (arrayOf(file['messages']) ?? []).entries()) {
    const { sha256, createdAt, ...said } = objectOf(message) ?? {};
    const { role, files, reasoning, calls, media } = said;
    const text = typeof said['text'] === 'string' ? said['text'] : null;
    if (sha256 !== checksum(said)) transcript.say(`Message ${at + 1} was changed since the export.`);
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

/** Over the fields that the model sees, in the order in which they are written. */
const checksum = ({ role, text, files, reasoning, calls, media }: Readonly<Record<string, unknown>>): string =>
  sha256Hex(JSON.stringify([role, text, files, reasoning, calls, media]));
