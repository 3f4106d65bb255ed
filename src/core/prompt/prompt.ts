import { sha256Hex } from '../../base/hash.ts';
import type { ContextFile, Message } from '../../protocol/schemas/session.ts';
import type { JsonObject } from '../../protocol/schemas/tracker.ts';
import type { ChatMessage } from '../ports/engine.ts';
import { textInPrompt } from './excerpt.ts';

/** The answer that the prompt gives to a set of files, so that the user's next message opens a turn of its own. */
const acknowledgement = 'Understood.';

/** What token ids remember of the system prompt that they begin with. */
export const systemKey = (system: string | null): string | undefined =>
  system === null ? undefined : sha256Hex(system);

/** The chat messages of a conversation, and of the system prompt before them; null: there is none. */
export const renderConversation = (system: string | null, messages: readonly Message[]): ChatMessage[] => [
  ...(system === null ? [] : [{ role: 'system', content: system } as const]),
  ...renderPrompt(messages),
];

/**
 * The chat messages of a conversation. Appending a message only ever appends to the result, so that each prompt has the one
 * before as its prefix; user and assistant alternate, which many chat templates demand.
 */
export function renderPrompt(messages: readonly Message[]): ChatMessage[] {
  const rendered: ChatMessage[] = [];
  for (const message of messages) {
    const { content, role } = message;
    switch (content.type) {
      case 'text':
        rendered.push({
          role,
          content: textInPrompt(message, content),
          ...(content.media && { media: content.media }),
          // An excerpt has other places.
          ...(content.parts && {
            parts: content.excerpt ? content.parts.map((part) => ({ ...part, at: 0 })) : content.parts,
          }),
        });
        break;
      case 'context':
        rendered.push({ role: 'user', content: renderFiles(content.files) });
        rendered.push({ role: 'assistant', content: acknowledgement });
        break;
      case 'plan':
        rendered.push({ role, content: content.text });
        break;
      case 'tool-calls':
      case 'question':
        rendered.push({ role, content: content.text, toolCalls: content.calls });
        break;
      case 'tool-result':
        rendered.push({ role, content: textInPrompt(message, content), toolCallId: content.call });
        break;
      case 'unknown':
        // What a later version says to itself, it says as the system, and to no model.
        if (role !== 'system') rendered.push({ role, content: textOfUnknown(content) });
    }
  }
  return rendered;
}

/** The other side must have its turn, so that something stands there. */
export const textOfUnknown = ({ kind, whole }: { readonly kind: string; readonly whole: JsonObject }): string =>
  typeof whole['text'] === 'string' ? whole['text'] : `[A message of the kind "${kind}", which cannot be shown.]`;

const renderFiles = (files: readonly ContextFile[]): string =>
  ['These files are the context of our conversation.', ...files.map(renderFile)].join('\n\n');

export function renderFile({ path, text }: ContextFile): string {
  const fence = '`'.repeat(Math.max(3, longestRunOfBackticks(text) + 1));
  return `${path}\n${fence}\n${text}${text.endsWith('\n') ? '' : '\n'}${fence}`;
}

const longestRunOfBackticks = (text: string): number =>
  (text.match(/`+/g) ?? []).reduce((longest, run) => Math.max(longest, run.length), 0);
