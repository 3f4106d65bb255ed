import type { ProjectUri } from '../../protocol/ids.ts';
import { objectOf, parsed, textOf, type JsonObject } from '../formats/json.ts';
import { shortHash } from './canonical.ts';

/** Headers in which clients name a conversation. A request of Codex has three of them; the first one that is there counts. */
const idHeaders: readonly string[] = [
  'x-cwm-conversation',
  // Codex
  'thread-id',
  'session-id',
  // Claude Code
  'x-claude-code-session-id',
  // OpenCode
  'x-session-id',
  'x-session-affinity',
  // Vibe
  'x-affinity',
];

/** A header of a request; null where it has none. */
export type HeaderOf = (name: string) => string | null;

/** What a client names its conversation by. */
export interface ConversationName {
  /** Two clients or two projects that use the same id do not meet. Null: the client names none. */
  readonly key: string | null;
  /** It says where KV may be shared: many conversations may have the same one. */
  readonly isOfCache: boolean;
}

/** @param client who asks. */
export function conversationName(
  header: HeaderOf,
  body: JsonObject,
  client: string,
  project: ProjectUri | null,
): ConversationName {
  const id = idHeaders.map(header).find((value) => value !== null && value !== '') ?? sessionOfUser(body);
  const named = id ?? (textOf(body['prompt_cache_key']) || textOf(body['promptCacheKey']));
  return {
    key: named === '' ? null : shortHash(`${client}\n${project ?? ''}\n${named}`),
    isOfCache: id === null && named !== '',
  };
}

function sessionOfUser(body: JsonObject): string | null {
  const userId = textOf(objectOf(body['metadata'])?.['user_id']);
  return textOf(objectOf(parsed(userId))?.['session_id']) || null;
}

/**
 * Which program asks: the product of its `User-Agent`, without its version, and its title. Programs on the same library have the same
 * product.
 */
export function clientOf(header: HeaderOf): string {
  const agent = header('user-agent') ?? '';
  const named = header('x-cwm-client-name') ?? '';
  if (named !== '') return named.slice(0, 64);
  const title = header('x-title') ?? '';
  const product = /^[^\s/]+/.exec(agent)?.[0] ?? '';
  const names = product.toLowerCase() === title.toLowerCase() ? [product] : [product, title];
  return (
    names
      .filter((name) => name !== '')
      .join(' ')
      .slice(0, 64) || 'unknown'
  );
}
