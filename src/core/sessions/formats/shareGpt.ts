import { severalConversations } from './openAi.ts';
import { arrayOf, nameOf, objectOf, type ReadConversation, Transcript } from './said.ts';

const roles: Readonly<Record<string, 'user' | 'assistant' | 'system'>> = {
  human: 'user',
  user: 'user',
  gpt: 'assistant',
  assistant: 'assistant',
  model: 'assistant',
  system: 'system',
};

/** ShareGPT: `{ "conversations": [{ "from": "human", "value": "…" }, …] }`, alone or in a list. */
export function readShareGpt(documents: readonly unknown[]): ReadConversation | null {
  const all = documents.flatMap((document) => arrayOf(document) ?? [document]).map(objectOf);
  const conversations = all.map((document) => arrayOf(document?.['conversations'] ?? document?.['items']));
  const [said, ...others] = conversations;
  if (!said?.some((message) => typeof objectOf(message)?.['from'] === 'string')) return null;
  if (others.length > 0) throw severalConversations(conversations.length);
  const transcript = new Transcript();
  for (const message of said) {
    const { from, value } = objectOf(message) ?? {};
    const role = typeof from === 'string' && Object.hasOwn(roles, from) ? roles[from] : undefined;
    const text = typeof value === 'string' ? value : '';
    if (role === 'system') transcript.addSystem(text);
    else if (role) transcript.add({ role, text });
    else transcript.count(`Messages from "${nameOf(from)}" that were left out`);
  }
  return transcript.conversation(all[0]?.['title']);
}
