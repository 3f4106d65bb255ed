import { CwmError } from '../../../protocol/errors.ts';
import { textOfParts, toolCall, toolResult } from './contentParts.ts';
import { arrayOf, createdAtOf, type JsonObject, nameOf, objectOf, type ReadConversation, Transcript } from './said.ts';

/** Messages as `/v1/chat/completions` takes them: a list, or an object that has one in `messages`. */
export function readOpenAi(documents: readonly unknown[]): ReadConversation | null {
  const conversations = documents.map((document) => arrayOf(objectOf(document)?.['messages']) ?? arrayOf(document));
  if (conversations.some((messages) => !messages?.some((message) => typeof objectOf(message)?.['role'] === 'string')))
    return null;
  const [messages, ...others] = conversations;
  if (!messages) return null;
  if (others.length > 0) throw severalConversations(conversations.length);
  const transcript = new Transcript();
  for (const message of messages) readMessage(objectOf(message) ?? {}, transcript);
  return transcript.conversation(objectOf(documents[0])?.['title']);
}

/** Adds a message to what is read, or notes what is left out of it. */
export function readMessage(message: JsonObject, transcript: Transcript): void {
  const { role, content, reasoning_content: reasoning, tool_calls: calls } = message;
  const parts = textOfParts(content, transcript);
  const time = createdAtOf(message['created_at']);
  switch (role) {
    case 'system':
    case 'developer':
      return transcript.addSystem(parts.text);
    case 'user':
      return transcript.add({ role, text: parts.text, ...time });
    case 'tool':
    case 'function':
      return transcript.add({ role: 'user', text: toolResult(parts.text, transcript), ...time });
    case 'assistant': {
      const called = (arrayOf(calls) ?? []).map((call) => {
        const called = objectOf(objectOf(call)?.['function']);
        return toolCall(called?.['name'], called?.['arguments'], transcript);
      });
      const thought = typeof reasoning === 'string' ? reasoning : parts.reasoning;
      const text = [parts.text, ...called].filter((part) => part !== '').join('\n\n');
      return transcript.add({ role, text, ...(thought !== '' && { reasoning: thought }), ...time });
    }
    default:
      transcript.count(`Messages of the role "${nameOf(role)}" that were left out`);
  }
}

export const severalConversations = (count: number): CwmError =>
  new CwmError('InvalidParameter', `The file holds ${count} conversations.`, {
    hint: 'Put the one that you want into a file of its own and import that.',
  });
