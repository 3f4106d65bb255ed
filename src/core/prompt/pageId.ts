import type { Brand } from '../../base/brand.ts';
import { sha256Hex } from '../../base/hash.ts';
import type { Message } from '../../protocol/schemas/session.ts';

/** Names a page of a session, in prompts too: short, and the same whenever it is derived. `p41-3f9a` is the message with the sequence 41. */
export type PageId = Brand<string, 'PageId'>;

/** Branches have messages with the same sequence: the digits behind it tell them apart. */
export const pageIdOf = ({ id, sequence }: Pick<Message, 'id' | 'sequence'>): PageId =>
  `p${sequence}-${sha256Hex(id).slice(0, 4)}` as PageId;
