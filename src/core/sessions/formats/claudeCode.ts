import { textOfParts } from './contentParts.ts';
import { createdAtOf, objectOf, Transcript, type JsonObject, type ReadConversation } from './said.ts';

/**
 * The log of a session of Claude Code: a line for each event. Lines name the one before them; the conversation is what leads to the last
 * message, without side chains and what the program put in for itself.
 */
export function readClaudeCode(documents: readonly unknown[]): ReadConversation | null {
  const lines = documents.map((line) => objectOf(line) ?? {});
  const isOne = lines.some(({ type, message, uuid }) => isTurn(type) && objectOf(message) && typeof uuid === 'string');
  if (!isOne) return null;
  const transcript = new Transcript();
  for (const line of conversationOf(lines, transcript)) {
    const { content, role } = objectOf(line['message']) ?? {};
    const { text, reasoning } = textOfParts(content, transcript);
    if (role !== 'user' && role !== 'assistant') continue;
    transcript.add({ role, text, ...(reasoning !== '' && { reasoning }), ...createdAtOf(line['timestamp']) });
  }
  return transcript.conversation(lines.find(({ type }) => type === 'summary')?.['summary']);
}

const isTurn = (type: unknown): boolean => type === 'user' || type === 'assistant';

function conversationOf(lines: readonly JsonObject[], transcript: Transcript): readonly JsonObject[] {
  const byId = new Map(lines.map((line) => [line['uuid'], line]));
  const turns = lines.filter(({ type }) => isTurn(type));
  const main = turns.filter((line) => line['isSidechain'] !== true);
  const led = new Set<JsonObject>();
  // A line may name itself or a later one: each is taken once.
  for (let line = main.at(-1); line && !led.has(line); line = byId.get(line['parentUuid'])) led.add(line);
  for (const line of turns) if (!led.has(line)) transcript.count('Messages of other branches that were left out');
  return main.filter((line) => led.has(line) && line['isMeta'] !== true);
}
