/** What is done to an HTTP exchange instead of answering it properly. */
export type HttpFault = {
  /** Requests whose path begins so; default all. */
  readonly path?: string;
  /** How many of these go well before. Counted down by the fake. */
  after?: number;
  /** How many of them; default all. Counted down by the fake. */
  times?: number;
} & (
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly message?: string;
      /** Fails after the prompt was computed and kept. */ readonly late?: boolean;
    }
  /** Ends the connection before the answer begins. */
  | { readonly kind: 'drop'; readonly late?: boolean }
  /** Ends the connection after so many chunks of a stream, or in the middle of any other body. */
  | { readonly kind: 'cut'; readonly afterChunks: number }
  /** Ends a stream after so many chunks, as if it were complete. */
  | { readonly kind: 'stop'; readonly afterChunks: number }
  /** Says nothing more after so many chunks; 0 is not even a head. */
  | { readonly kind: 'silence'; readonly afterChunks: number }
  /** Begins to answer so much later. */
  | { readonly kind: 'slow'; readonly delayMs: number }
  | { readonly kind: 'body'; readonly body: string; readonly type?: string }
  /** The right answer under another content type. */
  | { readonly kind: 'type'; readonly type: string }
  | { readonly kind: 'huge' }
  | { readonly kind: 'redirect'; readonly location: string }
);

/** Everything a server can do wrong, or do differently from the vLLM that one expects. Switchable at any time. */
export interface FakeFaults {
  /** A server, or a proxy before it, that drops the field. */
  saltIgnored: boolean;
  /** Of each prompt, the share that `claims-all` claims, in whole blocks. */
  claimedShare: number;
  /** `null`: without `--enable-prompt-tokens-details`. `zero-omitted`: vllm#44377. `claims-all`: reports full reuse whatever was computed; the rest are no counts. */
  usageDetails: 'told' | 'null' | 'zero-omitted' | 'claims-all' | 'more than there are' | 'below zero' | 'in words';
  /** `some missing`: every third piece of a stream comes with no id in its list; `missing and counted so`: the usage says as much. `of another text`: as many, but others. */
  streamedIds: 'whole' | 'some missing' | 'missing and counted so' | 'of another text';
  /** Its counters tell what its answers claim. */
  countsClaims: boolean;
  /** Something before it cuts every prompt to so many of its last tokens. */
  keepsLastTokens: number | null;
  /** `vllm:prefix_cache_hits_total` counts a request once for each admission step. */
  inflatedPrefixCounters: boolean;
  /** `writes-nothing`, `loads-nothing`: a tier that is there and does not work. `claims-only`: counts its blocks as reused and loads zeros. */
  tier: 'works' | 'writes-nothing' | 'loads-nothing' | 'claims-only';
  /** A KV connector besides the tier. `ExampleConnector` ignores salts; of any other, the pieces are longer than short contexts. */
  connector: string | null;
  /** LMCache inside the server: its counters are among vLLM's. */
  hasLmcacheInside: boolean;
  /** `VLLM_SERVER_DEV_MODE`: tells everything at `/server_info`. */
  devMode: boolean;
  /** Off with `--no-enable-prefix-caching`. */
  prefixCaching: boolean;
  /** What `/metrics` says; null for the block size that it has. */
  toldBlockTokens: string | null;
  /** What becomes of its events about its KV blocks. `not of reuse`: an older vLLM. `not of tiers`: a connector that announces nothing. */
  events: 'published' | 'lost' | 'of another request' | 'with other hashes' | 'not of tiers' | 'not of reuse';
  /** Processes with a KV cache of their own; only the first one's events are seen. */
  ranks: number;
  /** Keeps in its tier what it was asked not to, as versions that don't know `max_offload_tokens`. */
  ignoresMaxOffload: boolean;
  /** Another conversation fills the cache after each request. */
  evictsAfterEachRequest: boolean;
  /** Something that the chat template puts before every prompt: a date, say. */
  templateLine: string;
  /** The chat template drops what earlier answers hold up to `</think>`. */
  dropsReasoning: boolean;
  /** Chats tell apart what an answer holds up to `</think>`; completions have it in their text. */
  tellsReasoning: boolean;
  /** Null for what the model says: the text of the next answers, which end of themselves. */
  answer: string | null;
  /** Tool calls of the next chats that offer tools, one list each; an empty one is an answer in words. */
  toolCalls: readonly (readonly { readonly name: string; readonly arguments: string }[])[];
  /** Other weights under the same name give other KV and other answers. */
  weights: string;
  /** vLLM before 0.28 without PYTHONHASHSEED. */
  randomSeedAfterRestart: boolean;
  /** What the API key must be; null for none. */
  apiKey: string | null;
  model: string;
  /** The model sees pictures; each is the same placeholder. */
  seesPictures: boolean;
  maxModelLen: number;
  /** The model is a LoRA adapter, loaded from here. */
  adapterFrom: string | null;
  metrics: boolean | 'no token counts';
  returnsTokenIds: boolean;
  hasTokenize: boolean;
  hasVersion: boolean;
  givesLogprobs: boolean;
  /** Somebody else's requests are finished between any two of ours. */
  otherTraffic: boolean;
  /** Requests of others that are running all the time. */
  othersRunning: number;
  http: HttpFault | null;
}

export const noFaults: FakeFaults = {
  saltIgnored: false,
  usageDetails: 'told',
  streamedIds: 'whole',
  claimedShare: 1,
  countsClaims: false,
  keepsLastTokens: null,
  inflatedPrefixCounters: false,
  tier: 'works',
  connector: null,
  hasLmcacheInside: false,
  devMode: false,
  prefixCaching: true,
  toldBlockTokens: null,
  events: 'published',
  ranks: 1,
  ignoresMaxOffload: false,
  evictsAfterEachRequest: false,
  templateLine: '',
  dropsReasoning: false,
  tellsReasoning: false,
  answer: null,
  toolCalls: [],
  weights: 'weights-1',
  randomSeedAfterRestart: false,
  apiKey: null,
  seesPictures: false,
  model: 'fake-model',
  maxModelLen: 8192,
  adapterFrom: null,
  metrics: true,
  returnsTokenIds: true,
  hasTokenize: true,
  hasVersion: true,
  givesLogprobs: true,
  otherTraffic: false,
  othersRunning: 0,
  http: null,
};
