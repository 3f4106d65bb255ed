import type { Capabilities } from '../../protocol/schemas/capabilities.ts';
import type { ServedModel } from '../../protocol/schemas/health.ts';
import type { Canary, KvTier } from '../../protocol/schemas/receipt.ts';
import type { MessagePart, ModelIdentity, Picture } from '../../protocol/schemas/session.ts';
import type { ToolCall } from '../../protocol/schemas/toolCall.ts';
import type { BlockRecord, HashProfile } from '../../protocol/schemas/window.ts';
import type { ToolDefinition } from './tools.ts';

/** From this round trip on, in milliseconds, each question to a server counts: a thaw asks only what it must. */
export const farMs = 1_000;

export type EngineKind = 'vllm' | 'embedded' | 'llama-server' | 'openai';

/** What an engine is, found by asking it, never by its name. `null` is "not known", never "no". */
export interface EngineDescription {
  readonly kind: EngineKind;
  readonly version: string;
  readonly model: ModelIdentity;
  /** Tokens in one KV block: the grain of reuse. */
  readonly blockTokens: number | null;
  readonly hashProfile: HashProfile | null;
  /** It does not tell its block size, so its counts of reuse cannot be judged; {@link Engine.probe} may find the size. */
  readonly isUntried: boolean;
  /** Whether {@link Engine.generate} takes `promptIds`. Default: no. */
  readonly takesTokenIds?: boolean;
  /** Why {@link Engine.generate} has no use for `tools`, in plain words. Left out: it takes them, or its server says that it does not. */
  readonly noToolsWhy?: string;
  /** Said with an answer that calls tools without being told to, where no grammar holds their arguments. Left out: one does, or nobody knows. */
  readonly freeArgumentsNote?: string;
  /** Whether its model sees pictures; absent where only a request tells. */
  readonly takesPictures?: boolean;
  /** Every model that the server lists, the one in use among them. */
  readonly models?: readonly ServedModel[];
  /** How long the server takes to answer anything, in milliseconds; absent below {@link farMs}. */
  readonly roundTripMs?: number;
  /** What the user should know or could change, in plain words. */
  readonly notices: readonly string[];
}

/** The ids and the salt that decide whether KV can be reused. The model is the engine's. */
export interface KvContext {
  readonly ids: readonly number[];
  readonly salt: string;
  /** What {@link Engine.persist} returned for these ids, if anything. */
  readonly handle: string | null;
  /** Of a server with slots: the one that has it, or shall have it. Default: the engine's own. */
  readonly slot?: number | undefined;
}

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant' | 'tool';
  readonly content: string;
  /** Pictures before the text. A request with pictures never has `promptIds`: the ids would stand for any picture. */
  readonly media?: readonly Picture[];
  /** Other parts, between texts of the content; the same holds of their requests. */
  readonly parts?: readonly MessagePart[];
  /** Of an assistant that calls tools. */
  readonly toolCalls?: readonly ToolCall[];
  /** Of a tool: the id of the call that it answers. */
  readonly toolCallId?: string;
}

/**
 * What an answer's reasoning looks like where no server tells it apart: `text`, a part of the answer; `marked`, between a mark that opens
 * it and one that closes it; `open`, up to the closing mark, since the prompt ends with the opening one.
 */
export type ReasoningForm = 'text' | 'marked' | 'open';

export interface GenerateRequest {
  readonly messages: readonly ChatMessage[];
  readonly salt: string;
  /** At least 1. */
  readonly maxTokens: number;
  /** 0 to 2; 0 is greedy: the same context gives the same answer. */
  readonly temperature: number;
  /** Share of the probability to draw from, above 0 and up to 1. Default 1. */
  readonly topP?: number | undefined;
  /** Texts that end the answer and are no part of it. Default none. */
  readonly stop?: readonly string[] | undefined;
  /** Default: the engine's choice. */
  readonly seed?: number | undefined;
  /** False to compute the prompt without an answer: nothing opens an assistant's turn. */
  readonly addGenerationPrompt: boolean;
  /** The prompt itself, instead of what the chat template makes of `messages`; only where the engine takes ids. */
  readonly promptIds?: readonly number[];
  /** Tools that the answer may call. Not together with `promptIds`. Default: none. */
  readonly tools?: readonly ToolDefinition[];
  /** `auto`: the model decides; `required`: the answer is a call; else the name of the tool that it calls. Default `auto`. */
  readonly toolChoice?: string | undefined;
  /** Of an answer to `promptIds`, whose reasoning the server leaves in its text. Default `text`. */
  readonly reasoning?: ReasoningForm;
  /** The caller asks again after a failure that will soon be over. Default: the engine does. */
  readonly callerRetries?: boolean;
}

/** A piece of an answer, as it arrives. A field that is left out holds nothing. */
export interface AnswerPiece {
  readonly text?: string;
  /** What the model writes for itself. Joined, it is the answer's reasoning but for white space around it. */
  readonly reasoning?: string;
  /** Of a tool call: its name, then its arguments. */
  readonly toolCall?: string;
  /** Token ids that came with it. Text that they stand for may come with a later piece. */
  readonly ids?: readonly number[];
  /** The whole prompt's, with one of the first pieces. */
  readonly promptIds?: readonly number[];
}
export type OnPiece = (piece: AnswerPiece) => void;

/** What one request showed about reuse. `cachedTokens: null` is "the engine did not say". */
export interface ReuseEvidence {
  readonly promptTokens: number;
  readonly cachedTokens: number | null;
  readonly cachedTokensFrom: 'usage' | 'events' | 'metrics' | 'timings' | 'none';
  readonly tier: KvTier | null;
  readonly timeToFirstTokenMs: number | null;
  /** Whether no other client used the server during the request; null when that is not known. */
  readonly serverIdle: boolean | null;
  /** Differences of the counters that were read around the request, by metric name and label. */
  readonly counters: Readonly<Record<string, number>>;
  /** The server's counters can be read, nothing was in flight, and they did not move: something in front of the server answered. */
  readonly isFromElsewhere?: boolean;
  /** The server publishes events about its KV blocks, and none of this request came: it never arrived, or its events were lost. */
  readonly isUnannounced?: boolean;
  /** The server's events say that it had not stored what its answer claims to have reused, or the other way round. */
  readonly isContradicted?: boolean;
  /** It claimed reuse but took as long as computing. The core sets this, and then trusts none of its counts. */
  readonly isTooSlow?: boolean;
}

/** The evidence of a request that shows nothing of reuse. */
export const noEvidence = (promptTokens: number): ReuseEvidence => ({
  promptTokens,
  cachedTokens: null,
  cachedTokensFrom: 'none',
  tier: null,
  timeToFirstTokenMs: null,
  serverIdle: null,
  counters: {},
});

export interface Generation {
  readonly text: string;
  /** The model's reasoning before its answer, when the server separates it; it is no part of `text`. */
  readonly reasoning?: string;
  /** Tools that the answer calls. Default: none. */
  readonly toolCalls?: readonly ToolCall[];
  /** The server computed only a part of the prompt without saying so: its own count and the number of tokens that it was sent. */
  readonly cut?: { readonly countedTokens: number; readonly sentTokens: number } | null;
  /** What the user should know of this answer, in plain words. */
  readonly notes?: readonly string[];
  readonly promptIds: readonly number[];
  readonly outputIds: readonly number[];
  /** `tokenize` when the server did not return ids, so that they were worked out by a second call; both empty when it has no such call. */
  readonly idsSource: 'engine' | 'tokenize';
  /** Tokens of the answer by the server's own count. Left out or null: it did not say; then `outputIds` tell, where there are any. */
  readonly outputTokens?: number | null;
  readonly finishReason: string;
  readonly reuse: ReuseEvidence;
}

export interface PersistEvidence {
  readonly reuse: ReuseEvidence;
  /** Whether the server's claim of reuse counts for as much here as in {@link Engine.measure}. Default: it may be an untested claim. */
  readonly isTested?: boolean;
  /** How the server continues the context, where the request asked for that; else as in {@link Measurement}. */
  readonly canary?: Measurement['canary'];
  /** What {@link Engine.restore} needs later; null when the ids and the salt are enough. */
  readonly handle: string | null;
  /** How many of the first tokens were stored, where that is coarser than blocks. Default: those of every full block. */
  readonly keptTokens?: number;
  /** What was reused of the context when it was read back from where it is stored; absent where that was not tried. */
  readonly restored?: ReuseEvidence;
  /** Reasons why the KV may last less long than it seems, in plain words. */
  readonly notes: readonly string[];
}

export interface RestoreEvidence {
  /** `on-demand`: the next request finds the KV by itself. `rejected`: the engine refused it, and may be damaged by that. */
  readonly outcome: 'on-demand' | 'restored' | 'rejected' | 'missing';
  readonly notes: readonly string[];
}

export interface Measurement {
  readonly reuse: ReuseEvidence;
  /** Null when the engine gives no log-probabilities. */
  readonly canary: Canary | null;
  /** Another request of the adapter shared the server with this one, which can change the canary's last bits. */
  readonly isAccompanied?: boolean;
  /** The same request reused less right after it: nobody can ask again about what this one reused. Only the core says so. */
  readonly isGone?: boolean;
}

/** A full KV block of a context and its file, if there is one. */
export interface LocatedBlock {
  readonly hash: string;
  readonly stat: Pick<BlockRecord, 'sizeBytes' | 'besideBytes' | 'mtimeNs' | 'ctimeNs' | 'inode'> | null;
}

/** The blocks and the handle that are not needed any more. */
export interface ForgottenKv {
  readonly hashes: readonly string[];
  readonly handle: string | null;
  /** The context that the handle was made for; only engines that store KV by its content need it. */
  readonly context?: Pick<KvContext, 'ids' | 'salt'>;
}

/** KV of the first tokens of a context in a file. */
export interface PackedKv {
  readonly tokens: number;
  readonly bytes: number;
}

/** Where KV is in a file of this machine. */
export interface KvPlace {
  /** Absolute. */
  readonly path: string;
  /** In bytes from its beginning. */
  readonly offset: number;
}

export interface TakenKv extends PackedKv {
  /** What was set aside and why, in plain words. */
  readonly notes: readonly string[];
}

export type BlockLocation =
  | { readonly reachable: false; readonly why: string }
  | {
      readonly reachable: true;
      /** Every full block of the context, in order, present or not; one entry where a context is stored as a whole. */
      readonly blocks: readonly LocatedBlock[];
    };

/** One of the places that a server has for conversations. */
export interface SlotState {
  readonly slot: number;
  /** A request runs in it, of whomever. */
  readonly isBusy: boolean;
  /** What the engine, or a request that it let pass, put there last is still there, as far as the server shows that. */
  readonly isKept: boolean;
  /** The engine works in it by itself. */
  readonly isOwn: boolean;
  /** Once, a request for another slot made the server empty slots that rested. */
  readonly isEmptiedAtRest: boolean;
}

/** What a server's slot had, in a file that no record names yet. Either is called, and {@link drop} after a {@link take} that throws, too; neither needs the server. */
export interface LeftKv {
  /**
   * Makes it the stored KV of a context.
   *
   * @param atLeast so many of the first tokens of the context must be in it.
   * @returns how many are, and what {@link Engine.restore} needs; null where there are fewer, or the file is no longer whole: it is dropped then.
   */
  take(
    context: Pick<KvContext, 'ids' | 'salt'>,
    atLeast: number,
  ): Promise<{ readonly handle: string; readonly tokens: number } | null>;
  drop(): Promise<void>;
}

/** What a server's memory is worth to a request that is sent past the adapter. */
export interface Passage {
  /** Whether conversations of this salt were in the server's memory before; what is found there for another salt is none of their business. */
  readonly mayReuse: boolean;
  /** No request came to the server since its start: its memory is empty. */
  readonly isNew: boolean;
}

/** A request for chat completions that another program sent, and what became of it. */
export interface AnsweredChat {
  readonly messages: readonly unknown[];
  /** The message that answered it. */
  readonly answer: object;
  /** All other fields of the request. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/**
 * A model server whose KV cache can outlive a request. Every call returns evidence, not success: the core decides what it means. Calls
 * that change the cache run one after another for each engine.
 *
 * All methods throw `CwmError`: EngineUnavailable not reachable, EngineFailed it failed, NotAnEngine it is no model server,
 * EngineDenied key missing or wrong, EngineRejected it refused the request, StreamCut its stream was cut, EngineTimeout no answer in
 * time, ContextTooLong too many tokens, Cancelled when `signal` was aborted. An abort leaves at most some blocks in the engine's cache.
 */
export interface Engine {
  /** As given to `--engine`: a URL, perhaps with a folder behind "#", `embedded` or `embedded:FILE`. */
  readonly spec: string;

  /** Asks again only when the server may have changed. */
  describe(signal: AbortSignal): Promise<EngineDescription>;

  /**
   * Finds out what the engine can do by trying it: at most four requests of at most `3 · blockTokens + 1` tokens to its model, and no
   * more while the server stays the same. A failure on the way makes a capability `unknown` and does not reject.
   */
  probe(signal: AbortSignal): Promise<Capabilities>;

  tokenize(
    messages: readonly ChatMessage[],
    addGenerationPrompt: boolean,
    signal: AbortSignal,
  ): Promise<readonly number[]>;

  /**
   * The ids with which every next prompt of a chat begins that passed this adapter. Null, or left out: the server tells the ids of an answer itself,
   * or nobody knows them.
   */
  nextChatIds?(chat: AnsweredChat, signal: AbortSignal): Promise<readonly number[] | null>;

  /** The text of these ids, special tokens included; null when the server does not tell it. */
  detokenize(ids: readonly number[], signal: AbortSignal): Promise<string | null>;

  /** `onPiece` gets the answer as it arrives: its texts joined are the answer's text. Nothing is stored when it throws. */
  generate(request: GenerateRequest, onPiece: OnPiece, signal: AbortSignal): Promise<Generation>;

  /** Makes the engine compute and store the KV of every full block of these ids, and waits until it is stored. */
  persist(context: KvContext, signal: AbortSignal): Promise<PersistEvidence>;

  /**
   * Says which blocks a request will soon load, before the engine is asked to describe itself. Only a hint, which starts no engine: one that is
   * being started reads them while its model loads, and one that runs may look ahead.
   */
  expect?(hashes: readonly string[]): void;

  /**
   * Another program's request under this salt is about to be sent past this adapter. Resolves once nothing of the adapter's own uses the only
   * place that the server has. Null, or left out: the server separates salts by itself.
   *
   * @param slot the one that the request asks for. Default: it is the server's choice.
   * @param isAgain for the same request, behind work on its KV: whether the server is a new one is not asked again. Default: false.
   */
  letPass?(
    salt: string,
    signal: AbortSignal,
    passing?: { readonly slot?: number | undefined; readonly isAgain?: boolean },
  ): Promise<Passage | null>;

  /** @param ended the slot of a request that passed and has ended. @returns null, or left out: the server has no slots, or does not show them. */
  slots?(signal: AbortSignal, ended?: number): Promise<readonly SlotState[] | null>;

  /**
   * Has the server write what a slot has, as it is: nothing is computed for it. Null, or left out: it does not have exactly so many tokens
   * under this salt, or cannot, or its files are out of reach.
   *
   * @param slot default: the only one.
   */
  leave?(salt: string, tokens: number, signal: AbortSignal, slot?: number): Promise<LeftKv | null>;

  /** Whether no request came to the server since it started, so that its memory is empty. Left out where that says nothing, or is not told. */
  isUnused?(signal: AbortSignal): Promise<boolean>;

  /**
   * Brings persisted KV back where the engine does not do so by itself.
   *
   * @param isSound runs beside it; where that is not true, nothing stays of what was restored. With it, no {@link measure} follows.
   */
  restore(context: KvContext, signal: AbortSignal, isSound?: () => Promise<boolean>): Promise<RestoreEvidence>;

  /**
   * One greedy token over these ids: what was reused, and the canary.
   *
   * @param isFollowed the same request follows at once, and nobody else's need come in between. Default: false.
   */
  measure(context: KvContext, signal: AbortSignal, isFollowed?: boolean): Promise<Measurement>;

  /** Looks for the block files without any request to the engine's model. */
  locate(context: KvContext, signal: AbortSignal): Promise<BlockLocation>;

  /**
   * SHA-256 over name and bytes of each block's file, null where there is none.
   *
   * @param asWritten true takes the checksum that the engine computed when it wrote the file, where it stores one: what the bytes should
   *   be, not what they are. Default: false, which reads every byte.
   */
  checksum(hashes: readonly string[], signal: AbortSignal, asWritten?: boolean): Promise<readonly (string | null)[]>;

  /** Deletes block files (or the KV of the handle) so that they cannot be reused. @returns the bytes that this freed. */
  forget(target: ForgottenKv, signal: AbortSignal): Promise<number>;

  /**
   * Appends the KV that is stored of a context to a file of this machine, or, without a path, says how large it would be. Null, or left out:
   * this engine's KV cannot be taken to another machine.
   */
  pack?(context: KvContext, path: string | undefined, signal: AbortSignal): Promise<PackedKv | null>;

  /** Takes KV of a context out of such a file, under a salt that nobody has used. Null, or left out: as {@link pack}. */
  unpack?(context: KvContext, place: KvPlace, signal: AbortSignal): Promise<TakenKv | null>;

  /** Closes the engine's connections. Calls in flight are aborted. */
  close(): Promise<void>;
}
