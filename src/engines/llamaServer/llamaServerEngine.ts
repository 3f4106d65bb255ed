import { randomSalt } from '../../base/hash.ts';
import { systemClock, type Clock } from '../../base/clock.ts';
import { SerialQueue } from '../../base/serialQueue.ts';
import type {
  BlockLocation,
  ChatMessage,
  Engine,
  EngineDescription,
  ForgottenKv,
  GenerateRequest,
  OnPiece,
  Generation,
  KvContext,
  Measurement,
  PersistEvidence,
  RestoreEvidence,
  ReuseEvidence,
} from '../../core/ports/engine.ts';
import type { Capabilities } from '../../protocol/schemas/capabilities.ts';
import { CwmError, isCwmError } from '../../protocol/errors.ts';
import type { Connect } from '../http/address.ts';
import type { Link } from '../http/link.ts';
import { LinkFactory } from '../http/linkFactory.ts';
import { orAborted } from '../http/orAborted.ts';
import { defaultTimeouts, systemSleep, systemTimer, type Sleep, type Timeouts, type Timer } from '../http/timing.ts';
import { idsAgree } from '../idsAgree.ts';
import { answerIds, chatPromptIds, textOfIds } from './chatPrompt.ts';
import { checkSlot, completionRequest, readCanary, weigh } from './completion.ts';
import { HomeSlot, type SlotUse } from './homeSlot.ts';
import { probeLlamaServer } from './probe.ts';
import { RestoreTrials } from './restoreTrial.ts';
import { identifyServer, type ServerIdentity } from './serverIdentity.ts';
import { eraseSlot, restoreSlot, saveSlot } from './slotActions.ts';
import { formatHandle, parseHandle, SlotFolder, slotFileName, slotHash } from './slotFile.ts';
import { readText, streamRequest, type StreamedText } from './textStream.ts';
import { completionSchema, type Completion } from './wire.ts';

export interface LlamaServerEngineOptions {
  readonly spec: string;
  readonly connect: Connect;
  /** Sent as a bearer token where the address brings none of its own. */
  readonly apiKey?: string | undefined;
  /** The server's `--slot-save-path`, where this machine reaches it. */
  readonly slotDir?: string | undefined;
  /** Where the client found that folder, in words; undefined where the user named it. It is used once a file of a probe appeared there. */
  readonly slotDirFoundIn?: string | undefined;
  readonly timeouts?: Partial<Timeouts>;
  readonly clock?: Clock;
  readonly timer?: Timer;
  readonly sleep?: Sleep;
  /** Spreads retries; in 0 … 1. */
  readonly random?: () => number;
}

/** How often a save is repeated when another client used the slot in between. */
const maxSaves = 3;

/** A context that may be used, and the slot to use it in. */
interface Place {
  readonly link: Link;
  readonly server: ServerIdentity;
  readonly slot: number;
}

/**
 * llama.cpp's own HTTP server. Its KV lives in slots; a slot can be written to a file and read back, whole. A context is
 * stored as one such file, and the `timings` of the next request show the real reuse.
 */
export class LlamaServerEngine implements Engine {
  readonly spec: string;
  readonly #folder: SlotFolder;
  readonly #folderIsNamed: boolean;
  readonly #clock: Clock;
  readonly #links: LinkFactory;
  readonly #home: HomeSlot;
  readonly #trials = new RestoreTrials();
  readonly #queue = new SerialQueue();
  #known: ServerIdentity | null = null;
  /** The result of a probe of {@link #known}. */
  #capabilities: Capabilities | null = null;
  /** Set when the connection broke: the next answer may come from another server. */
  #suspect = false;
  /** The key of a server that refused log-probabilities. */
  #refusesLogprobsOf: string | null = null;
  /** The folder that the client found was tried with this server. */
  #hasTriedFolder = false;
  /** Files over whose restore the server went away: they would end it again. */
  readonly #deadly = new Set<string>();

  constructor(options: LlamaServerEngineOptions) {
    this.spec = options.spec;
    this.#folder = new SlotFolder(options.slotDir, options.slotDirFoundIn ?? null);
    this.#folderIsNamed = options.slotDir !== undefined;
    this.#clock = options.clock ?? systemClock;
    const sleep = options.sleep ?? systemSleep;
    this.#home = new HomeSlot(sleep);
    this.#links = new LinkFactory({
      connect: options.connect,
      apiKey: options.apiKey,
      timeouts: { ...defaultTimeouts, ...options.timeouts },
      timer: options.timer ?? systemTimer,
      sleep,
      random: options.random ?? Math.random,
      onConnectionFailure: () => (this.#suspect = true),
    });
  }

  describe(signal: AbortSignal): Promise<EngineDescription> {
    return this.#links.use(signal, async (link, signal) => (await this.#identify(link, signal)).description);
  }

  probe(signal: AbortSignal): Promise<Capabilities> {
    return this.#inTurn(signal, async (link, signal) => {
      const server = await this.#identify(link, signal);
      if (this.#capabilities) return this.#capabilities;
      const slot = await this.#home.findSpare(link, server, signal);
      if (this.#home.isAt(slot)) await this.#enter({ link, server, slot }, randomSalt(), signal);
      const elapsedMs = (): number => this.#clock.elapsedMs();
      await this.#confirmFolder(link, server, signal);
      const parts = { link, server, slot, folder: this.#folder, elapsedMs };
      const { capabilities, isComplete } = await probeLlamaServer(parts, signal);
      if (isComplete) this.#capabilities = capabilities;
      return capabilities;
    });
  }

  tokenize(
    messages: readonly ChatMessage[],
    addGenerationPrompt: boolean,
    signal: AbortSignal,
  ): Promise<readonly number[]> {
    return this.#links.use(signal, (link, signal) => chatPromptIds(link, messages, addGenerationPrompt, signal));
  }

  detokenize(ids: readonly number[], signal: AbortSignal): Promise<string | null> {
    return this.#links.use(signal, (link, signal) => textOfIds(link, ids, signal));
  }

  generate(request: GenerateRequest, onPiece: OnPiece, signal: AbortSignal): Promise<Generation> {
    return this.#inSlot(signal, async (place, signal) => {
      const { link, server } = place;
      const { messages, addGenerationPrompt } = request;
      const promptIds = request.promptIds ?? (await chatPromptIds(link, messages, addGenerationPrompt, signal));
      assertFits(promptIds.length, server);
      const use = await this.#enter(place, request.salt, signal);
      onPiece({ promptIds });
      const elapsedMs = (): number => this.#clock.elapsedMs();
      const answer = await readText(
        { link, request: streamRequest(promptIds, request, use), use, onPiece, elapsedMs },
        signal,
      );
      this.#home.noLongerFromFile();
      const outputIds = await idsOfText(link, answer, signal);
      return {
        text: answer.text,
        promptIds,
        outputIds: outputIds ?? (await retokenize(link, answer, signal)),
        idsSource: outputIds ? 'engine' : 'tokenize',
        finishReason: answer.finishReason,
        reuse: weigh({ ...answer, sentTokens: promptIds.length, isFromFile: use.isFromFile }),
      };
    });
  }

  persist(context: KvContext, signal: AbortSignal): Promise<PersistEvidence> {
    return this.#inSlot(signal, async (place, signal) => {
      const { reuse } = await this.#complete(place, context, false, signal);
      if (!place.server.savesSlots) return { reuse, handle: null, notes: [memoryOnly] };
      await this.#confirmFolder(place.link, place.server, signal);
      const hash = slotHash(context);
      const isDeadly = this.#deadly.delete(hash);
      for (let saves = 1; ; saves++) {
        const saved = await saveSlot(place.link, place.slot, slotFileName(hash), signal);
        if ('why' in saved) return { reuse, handle: null, notes: [`${saved.why} ${memoryOnly}`] };
        if (saved.sizeBytes === 0) return { reuse, handle: null, notes: [`The server saved nothing. ${memoryOnly}`] };
        if (saved.tokens === context.ids.length) {
          const handle = formatHandle({ hash, sizeBytes: saved.sizeBytes });
          const trial = isDeadly ? { notes: [] } : await this.#tryRestore(place, context, signal);
          return {
            reuse,
            handle,
            ...trial,
            notes: [...(await this.#savedNotes(hash, saved.sizeBytes)), ...trial.notes],
          };
        }
        this.#home.emptied();
        if (saves === maxSaves) {
          await this.#folder.forget([hash]);
          return { reuse, handle: null, notes: [`Somebody else uses slot ${place.slot}. ${memoryOnly}`] };
        }
        await this.#complete(place, context, false, signal);
      }
    });
  }

  /** Reads a file back that was just written: how much a thaw can reuse of it is known only then. Nothing about it ends the save. */
  async #tryRestore(
    place: Place,
    context: KvContext,
    signal: AbortSignal,
  ): Promise<Pick<PersistEvidence, 'restored' | 'notes'>> {
    const { link, slot } = place;
    const known = this.#trials.known(context.ids.length);
    if (known === 'whole') return { notes: [] };
    if (known) return { restored: known, notes: [] };
    const hash = slotHash(context);
    if (!(await eraseSlot(link, slot, signal))) return { notes: [] };
    this.#home.filledFromFile(context.salt);
    const outcome = await restoreSlot(link, slot, slotFileName(hash), signal);
    if (outcome.kind !== 'restored') {
      this.#home.refused(slot);
      if (outcome.kind === 'lost') this.#deadly.add(hash);
      return { notes: [`The slot file was written, and the server did not read it back: ${outcome.error.message}`] };
    }
    const { reuse } = await this.#complete(place, context, false, signal);
    // This process wrote the file itself a moment ago, out of this very slot.
    this.#home.noLongerFromFile();
    this.#trials.note(reuse);
    return { restored: reuse, notes: [] };
  }

  /** Empties the slot first, so that everything reused afterwards came from the file. */
  restore(context: KvContext, signal: AbortSignal): Promise<RestoreEvidence> {
    return this.#inSlot(signal, async (place, signal) => {
      const hash = slotHash(context);
      const why = place.server.savesSlots ? await this.#whyNotRestored(hash, context.handle) : memoryOnly;
      if (why !== null) return { outcome: 'missing', notes: [why] };
      const { link, slot } = place;
      if (!(await eraseSlot(link, slot, signal))) return { outcome: 'missing', notes: [memoryOnly] };
      // The server may still do it, even when the caller waits no longer.
      this.#home.filledFromFile(context.salt);
      const outcome = await restoreSlot(link, slot, slotFileName(hash), signal);
      if (outcome.kind === 'restored') {
        if (outcome.tokens === context.ids.length) return { outcome: 'restored', notes: [] };
        await eraseSlot(link, slot, signal);
        this.#home.emptied();
        const found = `the slot file has ${outcome.tokens} tokens instead of ${context.ids.length}`;
        return { outcome: 'missing', notes: [`It was given up, because ${found}.`] };
      }
      this.#home.refused(slot);
      if (outcome.kind === 'refused') return { outcome: 'rejected', notes: [outcome.error.message] };
      this.#deadly.add(hash);
      return { outcome: 'rejected', notes: [`${outcome.error.message} It had been given a slot file to restore.`] };
    });
  }

  measure(context: KvContext, signal: AbortSignal): Promise<Measurement> {
    return this.#inSlot(signal, async (place, signal) => {
      const { reuse, completion } = await this.#completeWithCanary(place, context, signal);
      return { reuse, canary: readCanary(completion, place.link.label) };
    });
  }

  async locate(context: KvContext, signal: AbortSignal): Promise<BlockLocation> {
    if (this.#folder.isInDoubt) await this.#tryFolder(signal);
    return this.#onDisk(signal, () => this.#folder.locate(context));
  }

  checksum(hashes: readonly string[], signal: AbortSignal): Promise<readonly (string | null)[]> {
    return this.#onDisk(signal, () => this.#folder.checksum(hashes, signal));
  }

  forget(target: ForgottenKv, signal: AbortSignal): Promise<number> {
    const named = parseHandle(target.handle);
    const hashes = [...target.hashes, ...(named ? [named.hash] : [])];
    return orAborted(
      this.#queue.run(() => this.#folder.forget(hashes), signal),
      signal,
    );
  }

  close(): Promise<void> {
    return this.#links.close();
  }

  /** Runs operations on the slot one at a time. */
  #inSlot<T>(signal: AbortSignal, operation: (place: Place, signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#inTurn(signal, async (link, signal) => {
      const server = await this.#server(link, signal);
      return operation({ link, server, slot: await this.#home.find(link, server, signal) }, signal);
    });
  }

  #inTurn<T>(signal: AbortSignal, operation: (link: Link, signal: AbortSignal) => Promise<T>): Promise<T> {
    return orAborted(
      this.#queue.run(() => this.#links.use(signal, operation), signal),
      signal,
    );
  }

  /** Looking at files needs no server. */
  #onDisk<T>(signal: AbortSignal, operation: () => Promise<T>): Promise<T> {
    return orAborted(signal.aborted ? Promise.reject(signal.reason as Error) : operation(), signal);
  }

  /** The server as it was last seen, asked again only when it was lost since. */
  async #server(link: Link, signal: AbortSignal): Promise<ServerIdentity> {
    if (this.#known && !this.#suspect && this.#known.label === link.label) return this.#known;
    return this.#identify(link, signal);
  }

  async #identify(link: Link, signal: AbortSignal): Promise<ServerIdentity> {
    const wasLost = this.#suspect;
    this.#suspect = false;
    const identity = await identifyServer(link, wasLost ? null : this.#known, this.#folderIsNamed, signal);
    const isAnother = this.#known !== null && this.#known.key !== identity.key;
    if (wasLost) this.#home.lost();
    if (isAnother) {
      this.#home.reset();
      this.#trials.reset();
    }
    // It does not tell when it was started.
    if (wasLost || isAnother) {
      this.#capabilities = null;
      this.#folder.doubt();
      this.#hasTriedFolder = false;
    }
    return (this.#known = identity);
  }

  /** A server that does not answer leaves the folder in doubt, until it answers. */
  async #tryFolder(signal: AbortSignal): Promise<void> {
    try {
      await this.#inTurn(signal, async (link, signal) =>
        this.#confirmFolder(link, await this.#server(link, signal), signal),
      );
    } catch (error) {
      if (!isCwmError(error) || isCwmError(error, 'Cancelled')) throw error;
    }
  }

  /** Has the server save an idle slot as it is, which computes nothing and changes no slot. */
  async #confirmFolder(link: Link, server: ServerIdentity, signal: AbortSignal): Promise<void> {
    if (!this.#folder.isInDoubt || this.#hasTriedFolder || !server.savesSlots) return;
    const slot = await this.#home.findSpare(link, server, signal);
    await this.#folder.confirm((name) => saveSlot(link, slot, name, signal));
    this.#hasTriedFolder = true;
  }

  /** Prepares the slot for a request under this salt. */
  async #enter({ link, slot }: Place, salt: string, signal: AbortSignal): Promise<SlotUse> {
    const use = this.#home.plan(slot, salt);
    if (use.erase) await eraseSlot(link, slot, signal);
    this.#home.enter(use);
    return use;
  }

  /** Log-probabilities are evidence only: a server that refuses them is asked without them, from then on. */
  async #completeWithCanary(
    place: Place,
    context: KvContext,
    signal: AbortSignal,
  ): Promise<{ completion: Completion; reuse: ReuseEvidence }> {
    if (this.#refusesLogprobsOf !== place.server.key) {
      try {
        return await this.#complete(place, context, true, signal);
      } catch (error) {
        if (!isCwmError(error, 'EngineRejected')) throw error;
      }
      const plain = await this.#complete(place, context, false, signal);
      // Only now is it known that the log-probabilities were what it refused.
      this.#refusesLogprobsOf = place.server.key;
      return plain;
    }
    return this.#complete(place, context, false, signal);
  }

  async #complete(
    place: Place,
    context: KvContext,
    canary: boolean,
    signal: AbortSignal,
  ): Promise<{ completion: Completion; reuse: ReuseEvidence }> {
    const { link, server } = place;
    const sentTokens = context.ids.length;
    assertFits(sentTokens, server);
    const use = await this.#enter(place, context.salt, signal);
    const startedMs = this.#clock.elapsedMs();
    const { value, triedBefore } = await link.json(completionRequest(context, use, canary), completionSchema, signal);
    const timeToFirstTokenMs = this.#clock.elapsedMs() - startedMs;
    checkSlot(value.id_slot, use, link.label);
    const { timings } = value;
    const reuse = weigh({ sentTokens, timings, triedBefore, timeToFirstTokenMs, isFromFile: use.isFromFile });
    if (reuse.cachedTokens === 0) this.#home.noLongerFromFile();
    return { completion: value, reuse };
  }

  /** Why a context's file is not given to the server; null when it may be. */
  async #whyNotRestored(hash: string, handle: string | null): Promise<string | null> {
    const named = parseHandle(handle);
    if (named?.hash !== hash) return 'No slot file was saved for this context.';
    if (this.#deadly.has(hash))
      return 'The server went away over its slot file before, so it was not given that again.';
    if ((await this.#folder.whyUnreachable()) !== null) return null;
    const sizeBytes = await this.#folder.sizeBytes(hash);
    if (sizeBytes === null) return 'Its slot file is gone.';
    // llama.cpp aborts over a file that is a little too short, and takes the whole server with it.
    return sizeBytes === named.sizeBytes ? null : `Its slot file has ${sizeBytes} bytes instead of ${named.sizeBytes}.`;
  }

  async #savedNotes(hash: string, sizeBytes: number): Promise<string[]> {
    const why = await this.#folder.whyUnreachable();
    if (why !== null) return [`The server saved ${sizeBytes} bytes into ${slotFileName(hash)}. ${why}`];
    const found = await this.#folder.sizeBytes(hash);
    if (found === sizeBytes) return [];
    return [
      `The server saved ${sizeBytes} bytes into ${slotFileName(hash)}, but the named slot folder ${
        found === null ? 'has no such file: is it the one of --slot-save-path?' : `has ${found} bytes of it.`
      }`,
    ];
  }
}

const memoryOnly = 'The KV lasts only as long as llama-server keeps it in memory.';

/** The ids that came with an answer; null where some are missing, or they are those of another text. */
async function idsOfText(link: Link, answer: StreamedText, signal: AbortSignal): Promise<readonly number[] | null> {
  const { outputIds } = answer;
  if (!outputIds) return null;
  try {
    return idsAgree(await textOfIds(link, outputIds, signal), answer) ? outputIds : null;
  } catch (error) {
    // The answer is complete, and a server that is lost after it must not cost it.
    if (signal.aborted || !isCwmError(error, 'EngineUnavailable')) throw error;
    return outputIds;
  }
}

/** What the server left out is worked out from the text; the id that ended the answer has none. */
async function retokenize(link: Link, { text, endId }: StreamedText, signal: AbortSignal): Promise<readonly number[]> {
  return [...(await answerIds(link, text, signal)), ...(endId === null ? [] : [endId])];
}

/** The one new token needs a place too. */
function assertFits(tokens: number, { label, description }: ServerIdentity): void {
  if (tokens === 0) throw new CwmError('InvalidParameter', 'There are no token ids to ask the model server about.');
  const { maxModelLen } = description.model;
  if (maxModelLen === null || tokens + 1 <= maxModelLen) return;
  throw new CwmError('ContextTooLong', `The context has ${tokens} tokens; a slot of ${label} takes ${maxModelLen}.`, {
    hint: 'Start llama-server with a larger --ctx-size, or with fewer slots (--parallel).',
    context: { tokens, maxModelLen },
  });
}
