/*
 * What the reading view and its page say to each other. The page is a script of its own in a sandbox, so that this file imports nothing.
 */

/** A piece of a message. Its text comes from elsewhere: from people, models, files and tools. */
export type Block =
  /** Rendered markdown in which `lessThan` stands for each "<" of the text, so that no text is a tag. */
  | { readonly type: 'html'; readonly html: string }
  | { readonly type: 'plain'; readonly text: string }
  /** Shown on demand. */
  | { readonly type: 'folded'; readonly summary: string; readonly text: string }
  /** A tool call that the user must decide on. */
  | { readonly type: 'call'; readonly call: string; readonly title: string; readonly why: string }
  /** What the model asks the user. `call` is empty once that is answered. */
  | { readonly type: 'question'; readonly call: string; readonly text: string; readonly choices: readonly string[] };

/** A button. `command` is one that {@link PageRequest} may name. */
export interface Action {
  readonly command: string;
  readonly label: string;
}

export interface PageItem {
  readonly key: string;
  /** `window`: a line that says which window ends here. */
  readonly kind: 'user' | 'model' | 'tool' | 'system' | 'window';
  readonly heading: string;
  /** ISO 8601; empty: unknown. */
  readonly at: string;
  readonly blocks: readonly Block[];
  /** A remark behind the text; empty: none. */
  readonly note: string;
  readonly actions: readonly Action[];
  /** Id of the message, for its buttons; empty: it is not stored yet. */
  readonly message: string;
  readonly window: string;
  /** The text that an edit begins with. */
  readonly source: string;
  /** It still grows. */
  readonly isGrowing: boolean;
}

export interface PageState {
  readonly session: string;
  readonly title: string;
  readonly facts: string;
  readonly actions: readonly Action[];
  /** Keys of all items in their order. */
  readonly order: readonly string[];
  /** Items that the page does not have in this form. */
  readonly changed: readonly PageItem[];
  /** Label of the button for earlier messages; empty: there are none. */
  readonly earlier: string;
  /** Instead of items, when there are none. */
  readonly empty: string;
  /** What happens now; empty: nothing. It is spoken when it changes. */
  readonly status: string;
  readonly isBusy: boolean;
  /** Why nothing can be sent; empty: it can. */
  readonly closed: string;
  readonly lessThan: string;
}

export type ToPage =
  | { readonly type: 'show'; readonly state: PageState }
  /** A text that could not be sent is given back. */
  | { readonly type: 'unsent'; readonly text: string };

/** What the page asks for. The fields that a request does not need are left out. */
export interface PageRequest {
  readonly type: 'ready' | 'run' | 'send' | 'earlier';
  readonly command?: string;
  readonly message?: string;
  readonly window?: string;
  readonly call?: string;
  readonly decision?: string;
  readonly reason?: string;
  readonly text?: string;
}
