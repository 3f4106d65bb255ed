import { sha256Hex } from '../../../base/hash.ts';
import { encodeTokenIds } from '../../../base/tokenIds.ts';
import type { KvContext } from '../../../core/ports/engine.ts';

/**
 * Names the one file that holds a context. llama-server knows no salts, so the salt is in the name: a file of another
 * conversation, or of a generation that was given up, is never the one that is asked for. Nor is one that was made under other start
 * options of the server, which compute other KV for the same ids. What an earlier version of this product named keeps its name: each
 * addition has a form of its own.
 */
export const slotHash = ({ ids, salt }: Pick<KvContext, 'ids' | 'salt'>, kvOptions = '', tokens?: number): string =>
  tokens !== undefined
    ? sha256Hex(`cwm slot 3\0${salt}\0${kvOptions}\0${tokens}\0`, encodeTokenIds(ids))
    : kvOptions === ''
      ? sha256Hex(`cwm slot 1\0${salt}\0`, encodeTokenIds(ids))
      : sha256Hex(`cwm slot 2\0${salt}\0${kvOptions}\0`, encodeTokenIds(ids));

/** llama-server takes a plain name and no path. The prefix marks our files among others in the same folder. */
export const slotFileName = (hash: string): string => `cwm-${hash}.slot`;

/** The result of `persist`: the file, and the number of bytes by the server's account. */
export interface SlotHandle {
  readonly hash: string;
  readonly sizeBytes: number;
  /** In the file, where these are not the tokens of the context: it is as the server had it when it lost the conversation. */
  readonly tokens?: number;
}

export const formatHandle = ({ hash, sizeBytes, tokens }: SlotHandle): string =>
  [slotFileName(hash), sizeBytes, ...(tokens === undefined ? [] : [tokens])].join(':');

/** Null for a foreign handle. */
export function parseHandle(handle: string | null): SlotHandle | null {
  const match = /^cwm-([0-9a-f]{64})\.slot:(\d{1,15})(?::(\d{1,9}))?$/.exec(handle ?? '');
  if (!match) return null;
  const [, hash = '', sizeBytes, tokens] = match;
  return { hash, sizeBytes: Number(sizeBytes), ...(tokens !== undefined && { tokens: Number(tokens) }) };
}
