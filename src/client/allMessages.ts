import type { Message } from '../protocol/schemas/session.ts';

interface Page {
  readonly items: readonly Message[];
  readonly hasMore: boolean;
}

const pageSize = 100;

/** Every message of a list that comes in pages. @param list gives the page behind `offset` messages. */
export async function allMessages(
  list: (page: { readonly limit: number; readonly offset: number }) => Promise<Page>,
): Promise<Message[]> {
  const messages: Message[] = [];
  for (let hasMore = true; hasMore;) {
    const page = await list({ limit: pageSize, offset: messages.length });
    messages.push(...page.items);
    hasMore = page.hasMore;
  }
  return messages;
}
