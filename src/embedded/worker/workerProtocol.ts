import type { TextRule } from './grammar.ts';
import type { GpuChoice, KvType } from '../../protocol/settings/embeddedFlags.ts';

/** Which step of the start failed: no llama.cpp for this machine, the model's file, or the memory for its context. */
export type StartFault = 'binary' | 'model' | 'context';

/** Arguments of the llama.cpp process. */
export interface WorkerConfig {
  readonly modelPath: string;
  /** Tokens that a prompt and its answer may have together; null for the model's own, at most 32,768. */
  readonly contextTokens: number | null;
  /** Null for the physical cores but one. */
  readonly threads: number | null;
  readonly gpu: GpuChoice;
  /** Layers on the GPU; null for as many as fit. */
  readonly gpuLayers: number | null;
  readonly kvType: KvType;
  /** Most tokens in one evaluation. */
  readonly batchTokens: number;
  /** A state of a few tokens is saved here, to learn the KV cache's layout. */
  readonly samplePath: string;
  /** Whether to find out if the sequence can be loaded and saved in parts. */
  readonly triesParts: boolean;
}

/** The server's knowledge of the model; only the worker opens the file with llama.cpp. */
export interface ModelInfo {
  readonly llamaCpp: string;
  /** `general.name`, or null. */
  readonly name: string | null;
  /** `general.architecture`. */
  readonly architecture: string;
  /** `metal`, `cuda` or `vulkan`; null when the CPU computes everything. */
  readonly gpu: string | null;
  /** What computes, in words: `CPU`, or the GPU's name. */
  readonly device: string;
  readonly contextTokens: number;
  readonly threads: number;
  readonly vocabularySize: number;
  readonly bosId: number | null;
  readonly bosText: string;
  readonly eosText: string;
  /** Whether a plain text prompt begins with `bosId`. */
  readonly prependBos: boolean;
  /** Tokens that end an answer. */
  readonly endIds: readonly number[];
  readonly chatTemplate: string | null;
  /** The tokens of the vocabulary by which built-in chat templates are recognised. */
  readonly markers: readonly string[];
  /** False where llama.cpp cannot forget the last tokens of a sequence: recurrent, hybrid, sliding window. */
  readonly canTruncate: boolean;
  /** Whether `append`, `adopt` and `savePart` work with this llama.cpp and this model: tried at the start. */
  readonly takesParts: boolean;
  /** Whether the position encoding is scaled, which may depend on the context length. */
  readonly hasScaledPositions: boolean;
}

/** The best next tokens, best first, with their raw logits. */
export interface Candidates {
  readonly ids: Uint32Array;
  readonly logits: Float64Array;
  /** Σ exp(logit − greatest logit) over the whole vocabulary. */
  readonly totalWeight: number;
}

/** The next token after an evaluation: the greedy one, and as many candidates as were asked for. */
export interface NextToken {
  readonly greedyId: number;
  readonly candidates: Candidates | null;
}

/** A grammar that the next tokens must follow. Its place in the text moves with each token that it gives. */
export interface Within {
  /** Of one text: another key begins at the beginning of the grammar. */
  readonly key: string;
  readonly rule: TextRule;
  readonly temperature: number;
  readonly topP: number;
  readonly seed: number;
}

/** Operations of the llama.cpp process; it does one at a time, except for the two that need no context. */
export interface WorkerOperations {
  start(config: WorkerConfig): ModelInfo;
  tokenize(request: { readonly text: string; readonly specialTokens: boolean }): Uint32Array;
  /** One text for each list of ids. */
  detokenize(request: { readonly lists: readonly Uint32Array[]; readonly specialTokens: boolean }): string[];
  /**
   * Appends tokens. With `candidates` not null it also says what comes next: 0 for the greedy token alone. With `within`, that is the token
   * that llama.cpp draws within the grammar, whatever the number of candidates.
   */
  evaluate(request: {
    readonly ids: Uint32Array;
    readonly candidates: number | null;
    readonly within?: Within;
  }): NextToken | null;
  /** Forgets everything from position `length` on; gives the length it now has. */
  truncate(request: { readonly length: number }): number;
  /** Writes the sequence's state file. */
  save(request: { readonly path: string }): void;
  /** Replaces the sequence by a state file; gives the number of its tokens. */
  load(request: { readonly path: string }): number;
  /** Appends the rows of a part of a state to those that are there; the first part replaces the sequence. It has no tokens until `adopt`. */
  append(request: { readonly path: string; readonly isFirst: boolean }): void;
  /** Gives the rows that were appended the tokens of a state without rows; gives their number. */
  adopt(request: { readonly path: string }): number;
  /** Writes the state file of the tokens `from` to before `to`. */
  savePart(request: { readonly path: string; readonly from: number; readonly to: number }): void;
}

export type OperationName = keyof WorkerOperations;
export type OperationInput<Name extends OperationName> = Parameters<WorkerOperations[Name]>[0];
export type OperationOutput<Name extends OperationName> = ReturnType<WorkerOperations[Name]>;

export type WorkerRequest = {
  [Name in OperationName]: { readonly id: number; readonly name: Name; readonly input: OperationInput<Name> };
}[OperationName];

export type WorkerReply =
  | { readonly id: number; readonly ok: true; readonly output: unknown }
  | { readonly id: number; readonly ok: false; readonly message: string; readonly fault?: StartFault };
