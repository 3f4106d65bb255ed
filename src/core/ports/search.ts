import type { MessageId, ProjectUri, SessionId } from '../../protocol/ids.ts';
import type { MessageRole } from '../../protocol/schemas/session.ts';
import type { Page } from './page.ts';

/** A part of a message's text. */
export interface Excerpt {
  /** On one line. */
  readonly text: string;
  /** Begin and end in `text` of each word that was searched for, in UTF-16 units. */
  readonly matches: readonly (readonly [number, number])[];
}

/** A message that holds the words. */
export interface FoundMessage {
  readonly message: MessageId;
  /** Sessions that have it: those that were thawed or cloned from one another share messages. */
  readonly sessions: readonly SessionId[];
  readonly role: MessageRole;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly excerpt: Excerpt;
}

export interface MessageQuery {
  /** Words that must all occur; in quotes: one after another. The last one may be the beginning of a word. */
  readonly text: string;
  /** Only in sessions of this project. Default: in all. */
  readonly project?: ProjectUri;
  /** Only in this session. Default: in all. */
  readonly session?: SessionId;
  readonly limit: number;
  readonly offset: number;
}

/** What to look up for a ranking that knows the conversation, too. */
export interface OccurrenceQuery {
  /** Any of its words may occur, also with other endings. */
  readonly text: string;
  /** Words of `text` that are not looked up, in lower case. */
  readonly without: ReadonlySet<string>;
  /** Messages of these days count as found, too: an ISO 8601 date in which `_` stands for any digit. Default: none. */
  readonly dated?: string | undefined;
  /** Only in sessions of this project. Default: in all. */
  readonly project?: ProjectUri | undefined;
  /** Only in this session, in all of its branches. Default: in all. */
  readonly session?: SessionId | undefined;
  /** How many messages before a match and behind it come with it. */
  readonly reach: number;
}

/** A message that has some of the words, or is near one that has. */
export interface MessageOccurrences {
  readonly message: MessageId;
  readonly session: SessionId;
  /** 1-based position in its conversation. */
  readonly sequence: number;
  readonly role: MessageRole;
  /** A name that its text begins with, as in `Ann: Hello`, in lower case; null: none. */
  readonly speaker: string | null;
  /** ISO 8601. */
  readonly createdAt: string;
  /** Words in its text; 0 where none of those that were looked up occurs. */
  readonly length: number;
  /** How often each of {@link Occurrences.words} occurs. */
  readonly counts: readonly number[];
}

export interface Occurrences {
  /** The words that were looked up. */
  readonly words: readonly string[];
  /** For each of them: the share of the messages that have it, 0 to 1. */
  readonly shares: readonly number[];
  /** Messages that were searched. */
  readonly messages: number;
  /** Words of a message, on average. */
  readonly averageLength: number;
  /** In the order of their conversations. */
  readonly found: readonly MessageOccurrences[];
}

/**
 * What makes vectors. Its name does not tell it: two servers call different models "default", and one model has many names. Models that make
 * nearly the same of one text are the same.
 */
export interface VectorModel {
  /** As the server calls it. */
  readonly name: string;
  /** What it makes of a text that is the same each time. */
  readonly fingerprint: readonly number[];
}

/** Fingerprints that are at least that similar are of one model: rounding differs between servers, and each other model differs more. */
export const sameModel = 0.99;

/** A message whose meaning nobody has stored for a model. */
export interface UnembeddedMessage {
  readonly message: MessageId;
  readonly text: string;
}

/** The vectors of one message: of its whole text, or of parts of a long one. None: the model takes nothing of it, and is not asked again. */
export interface MessageVectors {
  readonly message: MessageId;
  readonly vectors: readonly (readonly number[])[];
}

export interface NearQuery {
  readonly model: VectorModel;
  readonly vector: readonly number[];
  /** What is less similar is left out: -1 to 1. */
  readonly leastSimilarity: number;
  readonly project?: ProjectUri | undefined;
  readonly session?: SessionId | undefined;
  readonly limit: number;
}

/** How many messages of a session have a text of which the model takes something, as far as it was asked, and how many have vectors. */
export interface VectorCounts {
  readonly messages: number;
  readonly embedded: number;
}

/** A message as a search finds it. */
export type FoundPlace = Pick<
  MessageOccurrences,
  'message' | 'session' | 'sequence' | 'role' | 'speaker' | 'createdAt'
>;

/** A message whose meaning is near. */
export interface NearMessage extends FoundPlace {
  /** Cosine of the angle between both vectors: -1 to 1. */
  readonly similarity: number;
}

/** Full-text search over every message of every branch of all sessions that are not in the trash. */
export interface MessageSearch {
  /** Best first: BM25, of equal ones the latest. */
  messages(query: MessageQuery): Promise<Page<FoundMessage>>;
  /** Where words occur. Where there are too many matches, those of the rarest words are looked at, of these the latest. */
  occurrences(query: OccurrenceQuery): Promise<Occurrences>;
  /** Messages of a session that were not embedded with this model yet, oldest first. */
  unembedded(session: SessionId, model: VectorModel, limit: number): Promise<readonly UnembeddedMessage[]>;
  /** Keeps vectors beside the index. They are derived data: a deleted index loses them, and turns compute them again. */
  keepVectors(model: VectorModel, vectors: readonly MessageVectors[]): Promise<void>;
  vectorCounts(session: SessionId, model: VectorModel): Promise<VectorCounts>;
  /** The messages whose vectors are nearest, best first. Of very many, only the latest are compared. */
  near(query: NearQuery): Promise<readonly NearMessage[]>;
}

/** What a text is embedded for: many models take questions and what may answer them in different forms. */
export type EmbeddedAs = 'question' | 'page';

export interface Embedded {
  /** As the server calls it. */
  readonly model: string;
  /** One for each text, all of the same length; null: the server refuses this text and takes others. */
  readonly vectors: readonly (readonly number[] | null)[];
}

/** A model server that turns texts into vectors, those of similar meaning into similar ones. */
export interface Embedder {
  /** Its address, as people know it. */
  readonly server: string;

  /**
   * @returns null where the server serves no embeddings; it is asked again only after a while.
   * @throws CwmError Cancelled; EngineUnavailable, EngineFailed and others as an engine does, also where it refuses every text.
   */
  embed(texts: readonly string[], as: EmbeddedAs, signal: AbortSignal): Promise<Embedded | null>;
}
