/*
 * What the memory view and its page say to each other. The page is a script of its own in a sandbox, so that this file imports nothing.
 */

/** A piece of the bar: what the next prompt has of one kind, in tokens. */
export interface BarPart {
  readonly kind: 'summary' | 'message' | 'artifact' | 'other' | 'free';
  readonly tokens: number;
  /** The piece in words, with its number. */
  readonly label: string;
}

/** A page of the conversation, or a summary. Its texts come from elsewhere. */
export interface MemoryItem {
  readonly key: string;
  readonly heading: string;
  readonly facts: string;
  /** Null: the page asks for it when the item is opened. */
  readonly text: string | null;
  readonly actions: readonly { readonly type: 'pin' | 'unpin' | 'fault'; readonly label: string }[];
}

export interface MemoryList {
  readonly key: 'pinned' | 'prompt' | 'segments' | 'procedures' | 'evicted';
  readonly title: string;
  /** Instead of items, when there are none. */
  readonly empty: string;
  readonly items: readonly MemoryItem[];
}

/** One answer: its prompt's tokens, by what the server did with them. */
export interface AnswerBar {
  readonly sequence: number;
  readonly sent: number;
  readonly reused: number;
  readonly recomputed: number;
  /** `sent`, `reused` and `recomputed` as a table shows them. */
  readonly cells: readonly [string, string, string];
}

export interface MemoryPageState {
  readonly title: string;
  readonly facts: readonly string[];
  readonly bar: readonly BarPart[];
  readonly lists: readonly MemoryList[];
  /** Label of the button for pages that left earlier; empty: all are listed. */
  readonly earlier: string;
  /** The last answers, oldest first. */
  readonly answers: readonly AnswerBar[];
  /** The answers in one sentence. */
  readonly reuse: string;
  /** Why there is nothing else to see; empty: there is. */
  readonly empty: string;
}

export type ToMemoryPage =
  | { readonly type: 'show'; readonly state: MemoryPageState }
  /** The original text of a page, and what happened to it. */
  | { readonly type: 'text'; readonly page: string; readonly text: string; readonly history: readonly string[] }
  /** What was done; a screen reader speaks it. */
  | { readonly type: 'said'; readonly text: string };

/** What the page asks for. The fields that a request does not need are left out. */
export interface MemoryRequest {
  readonly type: 'ready' | 'read' | 'pin' | 'unpin' | 'fault' | 'earlier' | 'memories';
  readonly page?: string;
}
