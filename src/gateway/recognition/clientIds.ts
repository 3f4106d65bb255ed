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

/**
 * What a client names its conversation by, as a key; null: it names none. Two clients that use the same id do not meet.
 *
 * @param client who asks.
 */
export function conversationKey(header: HeaderOf, body: JsonObject, client: string): string | null {
  const named = idHeaders.map(header).find((value) => value !== null && value !== '') ?? idInBody(body);
  return named ? shortHash(`${client}\n${named}`) : null;
}

function idInBody(body: JsonObject): string | null {
  const cacheKey = textOf(body['prompt_cache_key']) || textOf(body['promptCacheKey']);
  if (cacheKey !== '') return cacheKey;
  const userId = textOf(objectOf(body['metadata'])?.['user_id']);
  return textOf(objectOf(parsed(userId))?.['session_id']) || null;
}

/** Which program asks: the product of its `User-Agent`, without its version. */
export function clientOf(header: HeaderOf): string {
  const agent = header('user-agent') ?? '';
  const named = header('x-cwm-client-name') ?? '';
  if (named !== '') return named.slice(0, 64);
  const title = header('x-title') ?? '';
  return (/^[^\s/]+/.exec(agent)?.[0] ?? title).slice(0, 64) || 'unknown';
}
