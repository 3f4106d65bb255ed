import { sha256Hex } from '../../../base/hash.ts';
import type { Message, Session } from '../../../protocol/schemas/session.ts';
import { arrayOf, createdAtOf, objectOf, Transcript, type ReadConversation } from './said.ts';

const formatName = 'cwindow';
const formatVersion = 1;

/**
 * A conversation in one file that a person can read. It has no KV and no token ids: whoever opens it could not see what they stand for, so
 * that the model server computes the text. Each message has a checksum, which shows what was changed since.
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
      const text = content.type === 'text' ? content.text : null;
      const files = content.type === 'context' ? content.files : undefined;
      const reasoning = content.type === 'text' ? content.reasoning : undefined;
      const said = {
        role,
        ...(text !== null && { text }),
        ...(files && { files }),
        ...(reasoning !== undefined && { reasoning }),
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
    const { role, text, files, reasoning } = said;
    if (sha256 !== checksum(said)) transcript.say(`Message ${at + 1} was changed since the export.`);
    if (role !== 'user' && role !== 'assistant') {
      transcript.count(`Messages of the role "${String(role)}" that were left out`);
      continue;
    }
    const shown = (arrayOf(files) ?? []).map((each) => {
      const { path, text: content } = objectOf(each) ?? {};
      return `${String(path)}\n\n${String(content)}`;
    });
    transcript.add({
      role,
      text: typeof text === 'string' ? text : shown.join('\n\n'),
      ...(typeof reasoning === 'string' && { reasoning }),
      ...createdAtOf(createdAt),
    });
  }
  return transcript.conversation(file['title']);
}

/** Over the fields that the model sees, in the order in which they are written. */
const checksum = ({ role, text, files, reasoning }: Readonly<Record<string, unknown>>): string =>
  sha256Hex(JSON.stringify([role, text, files, reasoning]));
