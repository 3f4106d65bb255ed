import type { MessageId, SessionId } from '../../protocol/ids.ts';
import type { Item } from '../formats/item.ts';
import type { Entry } from './scratchIndex.ts';

/** A stored message, as the index on the disk has it: where it stands, and nothing of what it says. */
export interface IndexedMessage {
  readonly session: SessionId;
  readonly id: MessageId;
  readonly beforeId: MessageId | null;
  readonly beforeChain: string;
  readonly length: number;
  readonly chain: string;
  readonly isAnswer: boolean;
  readonly hasAnswer: boolean;
  readonly role: Item['role'];
  readonly callNames?: Readonly<Record<string, string>>;
  readonly isPartial?: boolean;
}

/** A message of an earlier process, with what the index finds it by. */
export interface Restored {
  readonly message: IndexedMessage;
  readonly answerKeys: readonly string[];
  /** Who may name it by the server's id. */
  readonly client: string;
  readonly serverId?: string | undefined;
}

/** What a client calls something by an id that a model server gave it: two clients do not meet. */
export const nameOf = (client: string, serverId: string): string => `${client}\n${serverId}`;

export const serverNameOf = (client: string, { serverId }: Pick<Restored, 'serverId'>): string | null =>
  serverId === undefined ? null : nameOf(client, serverId);

/** By which the index finds a message. */
export const keys = {
  chain: (chain: string): string => `chain ${chain}`,
  own: (chain: string, session: SessionId): string => `chain ${chain} of ${session}`,
  id: (id: MessageId): string => `message ${id}`,
  behind: (id: MessageId): string => `behind ${id}`,
  answer: (key: string): string => `answer ${key}`,
  server: (name: string): string => `server ${name}`,
};

export function entryOf(message: IndexedMessage, answerKeys: readonly string[], serverName: string | null): Entry {
  const { session, id, beforeId, beforeChain, length, chain, isAnswer, hasAnswer, role, callNames, isPartial } =
    message;
  const row = [session, id, beforeId, beforeChain, length, chain, isAnswer, hasAnswer, role, callNames, isPartial];
  return {
    keys: [
      keys.chain(chain),
      keys.own(chain, session),
      keys.id(id),
      ...(beforeId === null ? [] : [keys.behind(beforeId)]),
      ...answerKeys.map(keys.answer),
      ...(serverName === null ? [] : [keys.server(serverName)]),
    ],
    value: JSON.stringify(row),
  };
}

type Row = [
  SessionId,
  MessageId,
  MessageId | null,
  string,
  number,
  string,
  boolean,
  boolean,
  Item['role'],
  unknown,
  unknown,
];

/** @param value of an {@link entryOf}. */
export function indexedMessageOf(value: string): IndexedMessage {
  const row = JSON.parse(value) as Row;
  const [session, id, beforeId, beforeChain, length, chain, isAnswer, hasAnswer, role, callNames, isPartial] = row;
  return {
    session,
    id,
    beforeId,
    beforeChain,
    length,
    chain,
    isAnswer,
    hasAnswer,
    role,
    ...(callNames !== null && { callNames: callNames as Readonly<Record<string, string>> }),
    ...(isPartial === true && { isPartial }),
  };
}
