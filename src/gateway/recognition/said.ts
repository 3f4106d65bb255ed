import type { LineageId, MessageId, ProjectUri, SessionId } from '../../protocol/ids.ts';
import type { Item } from '../formats/item.ts';

/** One conversation of a client: a session, perhaps one that is not stored yet. */
export interface Conversation {
  readonly session: SessionId;
  readonly project: ProjectUri | null;
  /** Whose salt its requests carry; null before its first one. */
  lineage: LineageId | null;
  /** Hashes of its last request's system prompt and tools. */
  systemKey: string;
  toolsKey: string;
  /** The system prompt of its last request; null where that is not in memory. */
  system: string | null;
  /** The client's own word for itself. */
  client: string;
  /** When it had a request last, in milliseconds of the caller's clock. */
  usedMs: number;
  /** Hashes of the questions in its last request that are not what was asked at first; null where that is not in memory. */
  moved: ReadonlySet<string> | null;
  /** The user's first and last text, by which requests about the conversation are told apart. Empty where they are not in memory. */
  firstText: string;
  lastText: string;
  /** It has an answer. */
  hasAnswered: boolean;
  /** Of its last prompt and answer; 0 where that is not known. */
  lastTokens: number;
  /** By which the client names it. */
  readonly keys: Set<string>;
  /** How many of its messages are in memory. It stays in memory until there are none. */
  unstored: number;
  /** Its session may be frozen, or its KV may be out of the server's memory: something else than a turn of it happened. */
  mayBeCold: boolean;
}

/** A message of a conversation, in its place. */
export interface Said {
  readonly conversation: Conversation;
  readonly id: MessageId;
  /** Of the message before it; null for the first one. */
  readonly beforeId: MessageId | null;
  /** Of everything before it. */
  readonly beforeChain: string;
  /** 1 for the first. */
  readonly length: number;
  readonly chain: string;
  /** A model wrote it through this gateway. */
  readonly isAnswer: boolean;
  /** A model of this gateway wrote it or any of what leads to it. */
  readonly hasAnswer: boolean;
  readonly role: Item['role'];
  /** Names of the tools that it calls, by the ids of the calls. */
  readonly callNames?: Readonly<Record<string, string>>;
  /** The id that the model server gave its client, where that is not ours. Until it is stored. */
  readonly serverId?: string;
  /** By which an answer is found where its question has changed since. Until it is stored; empty for what is no answer. */
  readonly answerKeys: readonly string[];
  /** The record has a line in the place of a part of it. Known once it is stored. Default: false. */
  isPartial?: boolean;
  /** Requests that end with it and wait for their answers. */
  waiting: number;
  /** Until it is stored; null afterwards. */
  item: Item | null;
  /** Until it is stored; null afterwards, so that no message holds all that was said before it. */
  before: Said | null;
}

/** One with this system prompt, else the one that was used last; of one conversation, what a model of ours wrote or answered. */
export function bestOf(all: readonly Said[], systemKey: string): Said | null {
  let found: Said | null = null;
  for (const said of all) if (!found || isBefore(said, found, systemKey)) found = said;
  return found;
}

/** It has the chain of what it answers: {@link isEmptyAnswer}. */
export const isEmpty = ({ role, chain, beforeChain }: Said): boolean => role === 'assistant' && chain === beforeChain;

function isBefore(said: Said, found: Said, systemKey: string): boolean {
  const [one, other] = [said.conversation, found.conversation];
  if (isSame(one, other)) return said.hasAnswer || !found.hasAnswer;
  const fits = one.systemKey === systemKey;
  if (fits !== (other.systemKey === systemKey)) return fits;
  return one.usedMs >= other.usedMs;
}

/** @param before what is meant until now: what the client named is meant before what has the same system prompt. */
export const isMeant = (
  one: Conversation,
  preferred: Conversation | null,
  systemKey: string,
  before: Said | null,
): boolean =>
  isSame(one, preferred) || (one.systemKey === systemKey && (!before || !isSame(before.conversation, preferred)));

export const isSame = (one: Conversation, other: Conversation | null): boolean => one.session === other?.session;
