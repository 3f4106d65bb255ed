import type { Memento } from 'vscode';

const stateKey = 'cwm.chatSessions';
/** Of the conversations that were used last. */
const mostChats = 100;

type Pair = readonly [chat: string, session: string];
const pairsIn = (state: Memento): readonly Pair[] => state.get<readonly Pair[]>(stateKey, []);

/**
 * Remembers which session a conversation of VS Code's chat is, also for later windows of the folder. No interface names the conversation to who
 * provides a model; VS Code's own chat does, in an option of its own. Others who ask the model name none.
 */
export function rememberChat(state: Memento, conversation: unknown, session: unknown): void {
  if (typeof conversation !== 'string' || typeof session !== 'string') return;
  const chat = Buffer.from(conversation).toString('base64url');
  const pairs = pairsIn(state);
  const last = pairs.at(-1);
  if (last?.[0] === chat && last[1] === session) return;
  void state.update(stateKey, [...pairs.filter(([known]) => known !== chat).slice(1 - mostChats), [chat, session]]);
}

/** @param token with which a participant could call a tool, which names the conversation by its resource. */
export function sessionOfChat(state: Memento, token: unknown): string | undefined {
  const { path = '' } =
    (token as { readonly sessionResource?: { readonly path?: string } } | undefined)?.sessionResource ?? {};
  return pairsIn(state).find(([chat]) => path === `/${chat}`)?.[1];
}
