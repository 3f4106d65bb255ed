import { sha256Hex } from '../../src/base/hash.ts';
import { blockHashChain } from '../../src/base/kvBlockHash.ts';
import type {
  BlockLocation,
  ChatMessage,
  Engine,
  OnPiece,
  EngineDescription,
  EngineKind,
  Generation,
  GenerateRequest,
  KvContext,
  Measurement,
  PersistEvidence,
  RestoreEvidence,
  ReuseEvidence,
} from '../../src/core/ports/engine.ts';
import type { BlockCache } from '../../src/core/ports/blockCache.ts';
import { reuseFloor } from '../../src/core/evidence/reuse.ts';
import type { Capabilities } from '../../src/protocol/schemas/capabilities.ts';
import type { ToolCall } from '../../src/protocol/schemas/toolCall.ts';
import { CwmError, type ErrorName } from '../../src/protocol/errors.ts';
import type { Canary, KvTier } from '../../src/protocol/schemas/receipt.ts';

const blockTokens = 4;
const hashProfile = { algorithm: 'sha256_cbor', seed: 'vllm-none-hash', saltEncoding: 'tagged' } as const;

interface FakeBlock {
  bytes: string;
  readonly inode: string;
  mtimeNs: string;
  readonly writtenAtMs: number;
}

/**
 * An engine with a real prefix cache of tiny blocks and answers that depend on the bytes of every block it reuses, so that
 * what is wrong in the cache is wrong in the canary. Every lie and fault is a field that a test sets.
 */
export class FakeEngine implements Engine {
  readonly spec = 'http://fake';
  kind: EngineKind = 'vllm';
  now: () => number = () => 0;
  model = { id: 'fake-model', root: null, maxModelLen: 4096, fingerprint: null as string | null };
  weights = 'weights';
  /** Each version computes other last bits, also of the same KV. */
  version = '0.32.0';
  /** Throws this from every call, as an engine that is gone or broken does. */
  fault: ErrorName | null = null;
  /** Says nothing about reuse. */
  isSilent = false;
  heedsSalts = true;
  hasLogprobs = true;
  /** Counts of reuse come from the response, or from counters of the whole server. */
  countsFrom: 'usage' | 'metrics' = 'usage';
  /** Whether its ids are its own, or were worked out. */
  idsSource: 'engine' | 'tokenize' = 'engine';
  /** A server that speaks the OpenAI API and gives no token ids. */
  givesIds = true;
  hasBlockFiles = true;
  /** Times of a block's files are joined, as those of several ranks or layer groups are. */
  filesOfBlock = 1;
  /** Its block files belong to another user. */
  keepsFiles = false;
  /** It writes block files, on another machine than ours. */
  filesAreElsewhere = false;
  /** How many blocks it keeps as one: what is left over is not kept. */
  blocksInPiece = 1;
  /** Says that everything is cached, and reuses nothing. */
  claimsFullReuse = false;
  /** What computing a token costs, and loading one from a file, in milliseconds. */
  computeMsPerToken = 0;
  loadMsPerToken = 0;
  /** Answers 500 as long as a reused block holds noise. */
  failsOnDamage = false;
  /** Each recomputation gives other last bits, as on real hardware. */
  recomputesInexactly = false;
  /** Adds this to each logprob, another sign each time. */
  noise = 0;
  /** So many of the next measurements are made while others use the server, which moves the last bits of their answers. */
  busyMeasurements = 0;
  /** The same for a request of the adapter's own beside them. */
  accompaniedMeasurements = 0;
  /** Runs before the answer of each kind of call. */
  onCall: (call: 'generate' | 'persist' | 'measure' | 'locate') => Promise<void> = async () => {};
  /** Text of the next answers. */
  answer = 'fine';
  /** Why the next answers end; one that is cut has no token that ends it. */
  finishReason: 'stop' | 'length' = 'stop';
  /** Instead of the rest of the answer, behind so many of its words; what it throws ends the stream. */
  breaksAfter: { readonly words: number; readonly by: (signal: AbortSignal) => Promise<void> } | null = null;
  /** Tool calls of the next answers, one list each; then it says {@link answer}. */
  toolCalls: (readonly ToolCall[])[] = [];
  /** Tools that the requests offered, by name. */
  readonly offered: (readonly string[])[] = [];
  /** What they asked of the answer; left out: the model decides. */
  readonly choices: (string | undefined)[] = [];
  calls: string[] = [];
  takesTokenIds = true;
  noToolsWhy: string | undefined;
  freeArgumentsNote: string | undefined;
  /** Whether its model sees pictures; undefined where it does not say. Its ids are the same for every picture. */
  takesPictures: boolean | undefined = undefined;
  /** Tells the text of ids. */
  tellsText = true;
  /** Takes no ids as a prompt, though it says so. */
  refusesIds = false;
  /** What its chat template makes of a conversation before it is rendered. */
  template: (messages: readonly ChatMessage[]) => readonly ChatMessage[] = (messages) => messages;
  /** What it keeps contexts under, where it keeps each as one file. */
  handle: string | null = null;
  readonly forgottenHandles: string[] = [];

  /** Some request has reused a block that does not hold what its tokens come to. */
  hasReusedWrongBytes = false;

  readonly #device = new Map<string, string>();
  readonly #disk = new Map<string, FakeBlock>();
  #serial = 0;
  #sign = 1;

  async describe(signal: AbortSignal): Promise<EngineDescription> {
    this.#enter('describe', signal);
    return {
      kind: this.kind,
      version: this.version,
      model: { ...this.model },
      blockTokens,
      hashProfile,
      isUntried: false,
      takesTokenIds: this.takesTokenIds,
      ...(this.noToolsWhy !== undefined && { noToolsWhy: this.noToolsWhy }),
      ...(this.freeArgumentsNote !== undefined && { freeArgumentsNote: this.freeArgumentsNote }),
      ...(this.takesPictures !== undefined && { takesPictures: this.takesPictures }),
      notices: [],
    };
  }

  async probe(signal: AbortSignal): Promise<Capabilities> {
    this.#enter('probe', signal);
    return { items: [], blockTokens, cost: { requests: 0, promptTokens: 0, ms: 0 } };
  }

  async tokenize(
    messages: readonly ChatMessage[],
    addGenerationPrompt: boolean,
    signal: AbortSignal,
  ): Promise<number[]> {
    this.#enter('tokenize', signal);
    return tokensOf(this.template(messages), addGenerationPrompt);
  }

  async detokenize(ids: readonly number[], signal: AbortSignal): Promise<string | null> {
    this.#enter('detokenize', signal);
    return this.tellsText ? new TextDecoder().decode(Uint8Array.from(ids.filter((id) => id > 2))) : null;
  }

  async generate(request: GenerateRequest, onPiece: OnPiece, signal: AbortSignal): Promise<Generation> {
    this.#enter('generate', signal);
    await this.onCall('generate');
    signal.throwIfAborted();
    this.#enter('generated', signal);
    if (request.promptIds && this.refusesIds) throw new CwmError('EngineRejected', 'The fake engine takes no ids.');
    const promptIds = [
      ...(request.promptIds ?? tokensOf(this.template(request.messages), request.addGenerationPrompt)),
    ];
    const reuse = this.#compute(promptIds, request.salt);
    onPiece({ promptIds: this.givesIds ? promptIds : undefined });
    this.choices.push(request.toolChoice);
    this.offered.push((request.tools ?? []).map(({ name }) => name));
    const toolCalls = request.addGenerationPrompt ? this.toolCalls.shift() : undefined;
    if (toolCalls) return this.#callTools(toolCalls, promptIds, reuse, onPiece);
    const words = this.answer.split(/(?<= )/);
    for (const [at, text] of words.entries()) {
      if (at === this.breaksAfter?.words) await this.breaksAfter.by(signal);
      onPiece({ text, ids: this.givesIds ? encode(text) : [] });
    }
    const outputIds = [...encode(this.answer), ...(this.finishReason === 'stop' ? [2] : [])];
    // The KV of the answer stays in memory, but for its last token, which was never computed.
    this.#compute([...promptIds, ...outputIds.slice(0, -1)], request.salt);
    return {
      text: this.answer,
      promptIds: this.givesIds ? promptIds : [],
      outputIds: this.givesIds ? outputIds : [],
      idsSource: this.idsSource,
      finishReason: this.finishReason,
      reuse,
    };
  }

  #callTools(
    toolCalls: readonly ToolCall[],
    promptIds: readonly number[],
    reuse: ReuseEvidence,
    onPiece: OnPiece,
  ): Generation {
    const outputIds = [...encode(JSON.stringify(toolCalls)), 2];
    for (const { name, arguments: given } of toolCalls) onPiece({ toolCall: `${name} ${given}` });
    return { text: '', toolCalls, promptIds, outputIds, idsSource: 'engine', finishReason: 'tool_calls', reuse };
  }

  async persist(context: KvContext, signal: AbortSignal): Promise<PersistEvidence> {
    this.#enter('persist', signal);
    await this.onCall('persist');
    signal.throwIfAborted();
    const reuse = this.#compute(context.ids, context.salt);
    const hashes = this.#chain(context);
    const kept = hashes.length - (hashes.length % this.blocksInPiece);
    for (const hash of hashes.slice(0, kept)) this.#store(hash);
    const keptTokens = this.blocksInPiece === 1 ? undefined : kept * blockTokens;
    return { reuse, isTested: true, handle: this.handle, ...(keptTokens !== undefined && { keptTokens }), notes: [] };
  }

  async restore(_context: KvContext, signal: AbortSignal): Promise<RestoreEvidence> {
    this.#enter('restore', signal);
    return { outcome: 'on-demand', notes: [] };
  }

  async measure(context: KvContext, signal: AbortSignal): Promise<Measurement> {
    this.#enter('measure', signal);
    await this.onCall('measure');
    signal.throwIfAborted();
    const reuse = this.#compute(context.ids, context.salt);
    const isBusy = this.busyMeasurements > 0;
    if (isBusy) this.busyMeasurements--;
    const isAccompanied = this.accompaniedMeasurements > 0;
    if (isAccompanied) this.accompaniedMeasurements--;
    const canary = this.hasLogprobs ? this.#canary(context, isBusy || isAccompanied ? 'busy' : this.version) : null;
    return { reuse: { ...reuse, serverIdle: !isBusy }, canary, ...(isAccompanied && { isAccompanied }) };
  }

  async locate(context: KvContext, signal: AbortSignal): Promise<BlockLocation> {
    this.#enter('locate', signal);
    await this.onCall('locate');
    if (!this.hasBlockFiles || this.filesAreElsewhere)
      return { reachable: false, why: 'The block files are on another machine.' };
    return {
      reachable: true,
      blocks: this.#chain(context).map((hash) => {
        const block = this.#disk.get(hash);
        const stat = block && {
          sizeBytes: block.bytes.length,
          mtimeNs: Array.from({ length: this.filesOfBlock }, () => block.mtimeNs).join(','),
          ctimeNs: block.mtimeNs,
          inode: block.inode,
        };
        return { hash, stat: stat ?? null };
      }),
    };
  }

  async checksum(hashes: readonly string[], signal: AbortSignal): Promise<(string | null)[]> {
    this.#enter('checksum', signal);
    return hashes.map((hash) => {
      const block = this.#disk.get(hash);
      return block ? sha256Hex(hash, block.bytes) : null;
    });
  }

  async forget(
    target: { readonly hashes: readonly string[]; readonly handle: string | null },
    signal: AbortSignal,
  ): Promise<number> {
    this.#enter('forget', signal);
    if (this.keepsFiles) throw new CwmError('WriteFailed', 'The file cannot be deleted.');
    if (target.handle !== null) this.forgottenHandles.push(target.handle);
    let freed = 0;
    for (const hash of target.hashes) {
      freed += this.#disk.get(hash)?.bytes.length ?? 0;
      this.#disk.delete(hash);
    }
    return freed;
  }

  async close(): Promise<void> {}

  /** What `kill -9` and a new start do: memory is gone, files stay. */
  restart(): void {
    this.#device.clear();
  }

  /** Loses everything, as an engine without a lasting tier does. */
  evict(): void {
    this.#device.clear();
    this.#disk.clear();
  }

  /** Its block files as those of the embedded engine, whose folder lies in the storage directory. */
  blockCache(): BlockCache {
    const namespace = 'f'.repeat(32);
    return {
      sizes: async () => ({
        blockBytes: [...this.#disk.values()].reduce((sum, { bytes }) => sum + bytes.length, 0),
        otherBytes: 0,
      }),
      list: async () =>
        Array.from(this.#disk, ([hash, { bytes, writtenAtMs }]) => ({
          hash,
          namespace,
          sizeBytes: bytes.length,
          writtenAtMs,
        })),
      delete: async (blocks) => {
        const sizes = blocks.map(({ hash }) => this.#disk.get(hash)?.bytes.length ?? 0);
        for (const { hash } of blocks) this.#disk.delete(hash);
        return sizes.reduce((a, b) => a + b, 0);
      },
    };
  }

  get diskBlocks(): number {
    return this.#disk.size;
  }

  /** Changes the bytes of the n-th stored block; `silently` keeps its stat fields, as a failing disk does. */
  damage(index: number, options: { readonly silently: boolean }): void {
    const block = [...this.#disk.values()][index];
    if (!block) throw new Error(`there is no block ${index}`);
    block.bytes = `damaged ${block.bytes}`.slice(0, block.bytes.length);
    if (!options.silently) block.mtimeNs = String(++this.#serial);
  }

  /** Leaves the n-th stored block's file empty. */
  empty(index: number): void {
    const block = [...this.#disk.values()][index];
    if (!block) throw new Error(`there is no block ${index}`);
    block.bytes = '';
  }

  lose(index: number): void {
    const hash = [...this.#disk.keys()][index];
    if (hash !== undefined) this.#disk.delete(hash);
  }

  #enter(call: string, signal: AbortSignal): void {
    signal.throwIfAborted();
    this.calls.push(call);
    if (this.fault) throw new CwmError(this.fault, 'The fake engine has this fault.');
  }

  #chain({ ids, salt }: Pick<KvContext, 'ids' | 'salt'>): string[] {
    return blockHashChain(hashProfile, ids, blockTokens, this.heedsSalts ? salt : null);
  }

  /** Reuses leading blocks from memory, then from files; computes and keeps in memory what is left. */
  #compute(ids: readonly number[], salt: string): ReuseEvidence {
    const hashes = this.#chain({ ids, salt });
    const reusable = reuseFloor(ids.length, blockTokens) / blockTokens;
    let cached = 0;
    const tiers = new Set<KvTier>();
    let loaded = 0;
    while (cached < reusable) {
      const hash = hashes[cached] ?? '';
      const stored = this.#disk.get(hash);
      if (this.#device.has(hash)) tiers.add('device');
      else if (stored) {
        this.#device.set(hash, stored.bytes);
        loaded++;
        tiers.add('disk');
      } else break;
      cached++;
    }
    if (this.failsOnDamage && hashes.some((hash) => this.#device.get(hash)?.startsWith('damaged'))) {
      throw new CwmError('EngineFailed', 'The model server answered 500: NaN in the logits.');
    }
    // What is computed knows nothing of the salt, which is in the name alone.
    const contents = this.#chain({ ids, salt: 'any' });
    this.hasReusedWrongBytes ||= hashes
      .slice(0, cached)
      .some((hash, index) => !this.#device.get(hash)?.startsWith(`${this.weights} ${contents[index]} `));
    hashes.slice(cached).forEach((hash, index) => {
      const bits = this.recomputesInexactly ? ++this.#serial : 0;
      this.#device.set(hash, `${this.weights} ${contents[cached + index]} ${bits}`);
    });
    return {
      promptTokens: ids.length,
      cachedTokens: this.isSilent ? null : this.claimsFullReuse ? reusable * blockTokens : cached * blockTokens,
      cachedTokensFrom: this.isSilent ? 'none' : this.countsFrom,
      tier: tiers.size === 1 ? ([...tiers][0] ?? null) : tiers.size > 1 ? 'mixed' : null,
      timeToFirstTokenMs:
        1 + (ids.length - cached * blockTokens) * this.computeMsPerToken + loaded * blockTokens * this.loadMsPerToken,
      serverIdle: true,
      counters: {},
    };
  }

  #store(hash: string): void {
    if (this.#disk.has(hash) || !this.hasBlockFiles) return;
    const serial = String(++this.#serial);
    this.#disk.set(hash, {
      bytes: this.#device.get(hash) ?? '',
      inode: serial,
      mtimeNs: serial,
      writtenAtMs: this.now(),
    });
  }

  #canary({ ids, salt }: KvContext, roundedBy: string): Canary {
    const bytes = this.#chain({ ids, salt }).map((hash) => this.#device.get(hash) ?? '');
    const contents = bytes.map((block) => block.replace(/ \d+$/, ''));
    const digest = sha256Hex(this.weights, ...contents);
    const lastBits = sha256Hex(roundedBy, ...bytes);
    const partOf = (hex: string, rank: number): number => Number.parseInt(hex.slice(rank * 4, rank * 4 + 4), 16);
    this.#sign = -this.#sign;
    const topLogprobs = [0, 1, 2, 3, 4].map((rank) => ({
      token: `${this.weights} ${rank}`,
      logprob: -rank - 1 - partOf(digest, rank) / 1e6 - partOf(lastBits, rank) / 1e9 + this.#sign * this.noise,
    }));
    return { tokenId: 7, topLogprobs };
  }
}

const encode = (text: string): number[] => Array.from(new TextEncoder().encode(text));

/** A chat template of one token a byte: 1 and the role's letter open a message, 2 closes it. */
const tokensOf = (messages: readonly ChatMessage[], addGenerationPrompt: boolean): number[] => [
  ...messages.flatMap(({ role, content, toolCalls }) => [
    1,
    ...encode(role.slice(0, 1)),
    ...encode(toolCalls ? content + JSON.stringify(toolCalls) : content),
    2,
  ]),
  ...(addGenerationPrompt ? [1, ...encode('a')] : []),
];
