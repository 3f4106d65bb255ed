import { arrayOf, createdAtOf, nameOf, objectOf, type ReadConversation, Transcript } from './said.ts';

/** What VS Code's command "Chat: Export Chat…" writes: `{ "requests": [{ "message": { "text" }, "response": [{ "value" }, …] }, …] }`. */
export function readVscodeChat([document, ...others]: readonly unknown[]): ReadConversation | null {
  const requests = arrayOf(objectOf(document)?.['requests']);
  if (!requests || others.length > 0) return null;
  const transcript = new Transcript();
  for (const request of requests) {
    const { message, response, timestamp } = objectOf(request) ?? {};
    const asked = objectOf(message)?.['text'] ?? message;
    const time = createdAtOf(timestamp);
    transcript.add({ role: 'user', text: typeof asked === 'string' ? asked : '', ...time });
    const texts: string[] = [];
    const thoughts: string[] = [];
    for (const part of arrayOf(response) ?? []) {
      const { kind, value, content } = objectOf(part) ?? {};
      const text = typeof value === 'string' ? value : objectOf(content)?.['value'];
      if (typeof text !== 'string') transcript.count(`Parts of the kind "${nameOf(kind)}" that were left out`);
      else if (kind === 'thinking') thoughts.push(text);
      else texts.push(text);
    }
    const reasoning = thoughts.join('\n\n');
    transcript.add({ role: 'assistant', text: texts.join(''), ...(reasoning !== '' && { reasoning }), ...time });
  }
  return transcript.conversation(objectOf(document)?.['customTitle']);
}
