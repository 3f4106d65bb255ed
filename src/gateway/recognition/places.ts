import type { MessageId, SessionId } from '../../protocol/ids.ts';
import type { Item } from '../formats/item.ts';
import type { Entry } from './scratchIndex.ts';

/** A message of an earlier process, as it is found again. */
export interface Place {
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

export interface Restored {
  readonly place: Place;
  readonly answerKeys: readonly string[];
  /** Who may name it by the server's id. */
  readonly client: string;
  readonly serverId?: string | undefined;
}

export const nameOf = (client: string, serverId: string): string => `${client}\n${serverId}`;

export const serverNameOf = (client: string, { serverId }: Pick<Restored, 'serverId'>): string | null =>
  serverId === undefined ? null : nameOf(client, serverId);

/** By which a message is found in the index. */
export const keys = {
  chain: (chain: string): string => `chain ${chain}`,
  own: (chain: string, session: SessionId): string => `chain ${chain} of ${session}`,
  id: (id: MessageId): string => `message ${id}`,
  behind: (id: MessageId): string => `behind ${id}`,
  answer: (key: string): string => `answer ${key}`,
  server: (name: string): string => `server ${name}`,
};

export function entryOf(place: Place, answerKeys: readonly string[], serverName: string | null): Entry {
  const { session, id, beforeId, beforeChain, length, chain, isAnswer, hasAnswer, role, callNames, isPartial } = place;
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

export function placeOf(value: string): Place {
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
