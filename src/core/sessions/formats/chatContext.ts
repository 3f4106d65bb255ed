import { readMessage } from './openAi.ts';
import { arrayOf, type JsonObject, objectOf, type ReadConversation, Transcript } from './said.ts';

/**
 * A whole conversation in one file, as the design of this API stored it first: `{ "message_pool": { ID: NODE, … }, "branches": { NAME:
 * { "message_ids" } }, "active_branch_name" }`. Its active branch comes in; of the others it is said what is left out.
 */
export function readChatContext([document, ...others]: readonly unknown[]): ReadConversation | null {
  const file = objectOf(document);
  const [pool, branches] = [objectOf(file?.['message_pool']), objectOf(file?.['branches'])];
  if (!pool || !branches || others.length > 0) return null;
  const transcript = new Transcript();
  const active = file?.['active_branch_name'] ?? 'main';
  const ids = new Set(idsOf(branches, active));
  for (const id of ids) {
    const node = Object.hasOwn(pool, id) ? objectOf(pool[id]) : null;
    if (node) readMessage(messageOf(node), transcript);
    else transcript.count('Messages that the file names and does not have');
  }
  for (const id of Object.keys(pool))
    if (!ids.has(id)) transcript.count('Messages of other branches that were left out');
  return transcript.conversation(file?.['title'] ?? objectOf(file?.['config'])?.['title']);
}

function idsOf(branches: JsonObject, name: unknown): readonly string[] {
  const branch = typeof name === 'string' && Object.hasOwn(branches, name) ? objectOf(branches[name]) : null;
  return (arrayOf(branch?.['message_ids']) ?? []).filter((id) => typeof id === 'string');
}

/** The message alone, or one that its node holds. Names of roles and kinds begin with a capital in some versions. */
function messageOf(node: JsonObject): JsonObject {
  const message = objectOf(node['message']) ?? node;
  const { role, content } = message;
  const time = message['created_at'] ?? node['created_at'] ?? message['timestamp'] ?? node['timestamp'];
  return {
    ...message,
    role: typeof role === 'string' ? role.toLowerCase() : role,
    content: objectOf(content) ? [content] : content,
    ...(time !== undefined && { created_at: time }),
  };
}
