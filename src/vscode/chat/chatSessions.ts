import type { IncomingHttpHeaders } from 'node:http';
import type { Memento } from 'vscode';
import type { ProjectUri } from '../../protocol/ids.ts';

const stateKey = 'cwm.chatSessions';
/** Of the conversations that were used last. */
const mostChats = 100;

/** @param whyNot why the last answer said that it is not stored yet; null: it is. */
type Pair = readonly [chat: string, session: string, whyNot: string | null, folder: ProjectUri | null];

/** What is known of a conversation. */
export interface SessionOfChat {
  readonly session: string;
  /** Why its last answer is not stored yet; null: it is. */
  readonly whyNot: string | null;
  /** Another conversation went on with the session since, as a fork does: the session's branch is that one's. */
  readonly isElsewhere: boolean;
}
const pairsIn = (state: Memento): readonly Pair[] => state.get<readonly Pair[]>(stateKey, []);

/**
 * Remembers which session a conversation of VS Code's chat is, also for later windows of the folder. No interface names the conversation to who
 * provides a model; VS Code's own chat does, in an option of its own. Others who ask the model name none.
 *
 * @param headers of the gateway's answer. One that says only why nothing is recorded leaves the session that the conversation has.
 * @param folder that the request named; a conversation keeps its first one.
 */
export function rememberChat(
  state: Memento,
  conversation: unknown,
  { 'x-cwm-session': session, 'x-cwm-why': why }: IncomingHttpHeaders,
  folder: ProjectUri | null,
): void {
  if (typeof conversation !== 'string') return;
  const pairs = pairsIn(state);
  const known = pairOf(pairs, conversation);
  const id = session ?? (why === undefined ? undefined : known?.[1]);
  if (typeof id !== 'string') return;
  const pair: Pair = [chatOf(conversation), id, why?.toString() ?? null, known?.[3] ?? folder];
  if (pairs.at(-1)?.join('\n') === pair.join('\n')) return;
  void state.update(stateKey, [...pairs.filter((each) => each !== known).slice(1 - mostChats), pair]);
}

/** Where the conversation began; null: nobody knows. */
export const folderOfChat = (state: Memento, conversation: unknown): ProjectUri | null =>
  pairOf(pairsIn(state), conversation)?.[3] ?? null;

const chatOf = (conversation: string): string => Buffer.from(conversation).toString('base64url');
const pairOf = (pairs: readonly Pair[], conversation: unknown): Pair | undefined =>
  typeof conversation === 'string' ? pairs.find(([chat]) => chat === chatOf(conversation)) : undefined;

/** @param token with which a participant could call a tool, which names the conversation by its resource. */
export function sessionOfChat(state: Memento, token: unknown): SessionOfChat | undefined {
  const { path = '' } =
    (token as { readonly sessionResource?: { readonly path?: string } } | undefined)?.sessionResource ?? {};
  const pairs = pairsIn(state);
  const at = pairs.findIndex(([chat]) => path === `/${chat}`);
  const [, session, whyNot] = pairs[at] ?? [];
  if (session === undefined) return undefined;
  // They stand in the order of their last use.
  const isElsewhere = pairs.slice(at + 1).some(([, other]) => other === session);
  return { session, whyNot: whyNot ?? null, isElsewhere };
}
