import { randomSalt } from '../../base/hash.ts';
import { systemClock, type Clock } from '../../base/clock.ts';
import { SerialQueue } from '../../base/serialQueue.ts';
import type {
  AnsweredChat,
  BlockLocation,
  ChatMessage,
  Engine,
  EngineDescription,
  ForgottenKv,
  GenerateRequest,
  OnPiece,
  Generation,
  KvContext,
  LeftKv,
  Measurement,
  Passage,
  PersistEvidence,
  RestoreEvidence,
  SlotState,
} from '../../core/ports/engine.ts';
import type { Capabilities } from '../../protocol/schemas/capabilities.ts';
import { isCwmError } from '../../protocol/errors.ts';
import type { Connect } from '../http/address.ts';
import type { Link } from '../http/link.ts';
import { LinkFactory } from '../http/linkFactory.ts';
import { orAborted } from '../http/orAborted.ts';
import { defaultTimeouts, systemSleep, systemTimer, type Sleep, type Timeouts, type Timer } from '../http/timing.ts';
import { chatPromptIds, nextChatIds } from './text/chatPrompt.ts';
import { generateText } from './text/generateText.ts';
import { HeldSlot } from './slots/heldSlot.ts';
import { HomeSlot, isUnused } from './slots/homeSlot.ts';
import { leavePlace } from './slots/leavePlace.ts';
import type { Place } from './slots/place.ts';
import { probeHoldsMs } from '../probe/capability.ts';
import { findStorage, probeLlamaServer, type ProbeParts } from './probe.ts';
import { PromptTokens } from './text/promptTokens.ts';
import { identifyServer, type ServerIdentity } from './serverIdentity.ts';
import { saveSlot } from './slots/slotActions.ts';
import { SlotFolder } from './slots/slotFolder.ts';
import { parseHandle } from './slots/slotHandle.ts';
import { SlotRequests } from './slots/slotRequests.ts';
import { StoredSlots } from './slots/storedSlots.ts';
import { textOfIds } from './text/tokenizing.ts';

export interface LlamaServerEngineOptions {
  readonly spec: string;
  readonly connect: Connect;
  /** Sent as a bearer token where the address brings none of its own. */
  readonly apiKey?: string | undefined;
  /** The server's `--slot-save-path`, where this machine reaches it. */
  readonly slotDir?: string | undefined;
  /** Where the client found that folder, in words; undefined where the user named it. It is used once a file of a probe appeared there. */
  readonly slotDirFoundIn?: string | undefined;
  /** Start options of the server that decide what its KV is worth, where its process could be looked at; empty for none. */
  readonly kvOptions?: string | undefined;
  readonly timeouts?: Partial<Timeouts>;
  readonly clock?: Clock;
  readonly timer?: Timer;
  readonly sleep?: Sleep;
  /** Spreads retries; in 0 … 1. */
  readonly random?: () => number;
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
  readonly #held: HeldSlot;
  readonly #requests: SlotRequests;
  readonly #stored: StoredSlots;
  readonly #prompts = new PromptTokens();
  readonly #queue = new SerialQueue();
  #known: ServerIdentity | null = null;
  /** The result of a probe of {@link #known}. */
  #capabilities: Capabilities | null = null;
  /** The part of it that does not change while the server is the same. */
  #probed: Capabilities | null = null;
  #probedAtMs = 0;
  /** Set when the connection broke: the next answer may come from another server. */
  #suspect = false;
  /** A file of this server was looked for in the folder. */
  #hasTriedFolder = false;

  constructor(options: LlamaServerEngineOptions) {
    this.spec = options.spec;
    this.#folder = new SlotFolder(options.slotDir, options.slotDirFoundIn ?? null, options.kvOptions);
    this.#folderIsNamed = options.slotDir !== undefined;
    this.#clock = options.clock ?? systemClock;
    const sleep = options.sleep ?? systemSleep;
    this.#home = new HomeSlot(sleep, this.#clock);
    this.#held = new HeldSlot(sleep);
    this.#requests = new SlotRequests(this.#home, this.#clock);
    this.#stored = new StoredSlots({ requests: this.#requests, home: this.#home, folder: this.#folder });
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
      const isRecent = this.#clock.elapsedMs() - this.#probedAtMs <= probeHoldsMs;
      if (this.#capabilities && isRecent) return this.#capabilities;
      const slot = await this.#home.findSpare(link, server, signal);
      const parts = { link, server, slot, folder: this.#folder, elapsedMs: () => this.#clock.elapsedMs() };
      const probed = this.#probed ?? (await this.#probeModel(parts, signal));
      const { items, isComplete } = await findStorage(parts, signal);
      this.#hasTriedFolder = true;
      const capabilities = { ...probed, items: [...probed.items, ...items] };
      this.#capabilities = this.#probed && isComplete ? capabilities : null;
      this.#probedAtMs = this.#clock.elapsedMs();
      return capabilities;
    });
  }

  tokenize(
    messages: readonly ChatMessage[],
    addGenerationPrompt: boolean,
    signal: AbortSignal,
  ): Promise<readonly number[]> {
    return this.#links.use(signal, (link, signal) =>
      chatPromptIds({ link, prompts: this.#prompts }, { messages, addGenerationPrompt }, signal),
    );
  }

  nextChatIds(chat: AnsweredChat, signal: AbortSignal): Promise<readonly number[]> {
    return this.#links.use(signal, (link, signal) => nextChatIds({ link, prompts: this.#prompts }, chat, signal));
  }

  detokenize(ids: readonly number[], signal: AbortSignal): Promise<string | null> {
    return this.#links.use(signal, (link, signal) => textOfIds(link, ids, signal));
  }

  generate(request: GenerateRequest, onPiece: OnPiece, signal: AbortSignal): Promise<Generation> {
    return this.#inSlot(undefined, signal, (place, signal) => {
      const elapsedMs = (): number => this.#clock.elapsedMs();
      return generateText(
        { place, requests: this.#requests, home: this.#home, prompts: this.#prompts, elapsedMs },
        request,
        onPiece,
        signal,
      );
    });
  }

  /** Nobody else gets the slot before the requests that follow have measured what was saved. */
  persist(context: KvContext, signal: AbortSignal): Promise<PersistEvidence> {
    const save = async (place: Place, signal: AbortSignal): Promise<PersistEvidence> => {
      const { reuse } = await this.#requests.complete(place, context, false, signal);
      await this.#confirmFolder(place.link, place.server, signal);
      return this.#stored.save(place, context, reuse, signal);
    };
    return this.#inSlotHeld(context, save, ({ handle }) => handle !== null, signal);
  }

  letPass(
    salt: string,
    signal: AbortSignal,
    { slot, isAgain = false }: { readonly slot?: number | undefined; readonly isAgain?: boolean } = {},
  ): Promise<Passage> {
    const pass = async (link: Link, signal: AbortSignal): Promise<Passage> =>
      this.#requests.letPass(
        { link, server: await this.#server(link, signal) },
        { salt, slot: slot ?? null, isAgain },
        signal,
      );
    // With several slots, the server lets it work beside this adapter's own requests.
    return this.#known && this.#known.slots > 1 ? this.#links.use(signal, pass) : this.#inTurn(signal, pass);
  }

  /** What follows asks who the server is, and then needs a slot: which ones are idle is asked beside the first question. */
  expect(): void {
    const [server, signal] = [this.#known, new AbortController().signal];
    if (!server?.showsSlots || server.slots === 1 || this.#suspect) return;
    this.#links.use(signal, (link, signal) => this.#home.lookAhead(link, server, signal)).catch(() => undefined);
  }

  async slots(signal: AbortSignal, ended: number | null = null): Promise<readonly SlotState[] | null> {
    if (ended !== null) this.#home.ended(ended);
    return this.#links.use(signal, async (link, signal) =>
      this.#home.look(link, await this.#server(link, signal), signal),
    );
  }

  leave(salt: string, tokens: number, signal: AbortSignal, slot?: number): Promise<LeftKv | null> {
    const parts = { home: this.#home, folder: this.#folder };
    // Of several slots, no other one is known to have it.
    const write = async (place: Place): Promise<LeftKv | null> =>
      slot === undefined && place.server.slots > 1 ? null : leavePlace(place, parts, { salt, tokens });
    const writing = this.#queue.run(
      () => this.#links.use(signal, (link, signal) => this.#atSlot(link, slot, write, signal)),
      signal,
    );
    return orAborted(writing, signal).catch((error: unknown) => {
      // The server writes it to its end, and nobody else knows its name.
      writing.then((left) => left?.drop()).catch(() => undefined);
      throw error;
    });
  }

  isUnused(signal: AbortSignal): Promise<boolean> {
    return this.#links.use(signal, async (link, signal) => isUnused(link, await this.#server(link, signal), signal));
  }

  /** Empties the slot first, so that everything reused afterwards came from the file. Nobody else gets the slot before that was measured. */
  restore(context: KvContext, signal: AbortSignal, isSound?: () => Promise<boolean>): Promise<RestoreEvidence> {
    const restore = (place: Place, signal: AbortSignal): Promise<RestoreEvidence> =>
      this.#stored.restore(place, context, signal, isSound);
    if (isSound) return this.#inSlot(context.slot, signal, restore);
    return this.#inSlotHeld(context, restore, ({ outcome }) => outcome === 'restored', signal);
  }

  measure(context: KvContext, signal: AbortSignal, isFollowed = false): Promise<Measurement> {
    const measureAt = (place: Place, signal: AbortSignal): Promise<Measurement> =>
      this.#requests.measure(place, context, signal);
    const held = this.#held.runHeld(context.salt, isFollowed, () =>
      this.#links.use(signal, (link, signal) => this.#atSlot(link, context.slot, measureAt, signal)),
    );
    return held ? orAborted(held, signal) : this.#inSlot(context.slot, signal, measureAt);
  }

  async locate(context: KvContext, signal: AbortSignal): Promise<BlockLocation> {
    if (this.#folder.isInDoubt) await this.#tryFolder(signal);
    return this.#onDisk(signal, () => this.#folder.locate(context));
  }

  checksum(hashes: readonly string[], signal: AbortSignal, asWritten = false): Promise<readonly (string | null)[]> {
    return this.#onDisk(signal, () => this.#folder.checksum(hashes, signal, asWritten));
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

  /** Runs operations on slots one at a time. @param slot undefined: the client's own. */
  #inSlot<T>(
    slot: number | undefined,
    signal: AbortSignal,
    operation: (place: Place, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    return this.#inTurn(signal, (link, signal) => this.#atSlot(link, slot, operation, signal));
  }

  /** As {@link #inSlot}, and holds the turn for the request that measures the result, where there is something to measure. */
  #inSlotHeld<T>(
    { salt, slot }: KvContext,
    operation: (place: Place, signal: AbortSignal) => Promise<T>,
    isMeasured: (result: T) => boolean,
    signal: AbortSignal,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const running = this.#inSlot(slot, signal, async (place, signal) => {
        const result = await operation(place, signal);
        resolve(result);
        if (isMeasured(result)) await this.#held.holdFor(salt, signal);
      });
      running.catch(reject);
    });
  }

  async #atSlot<T>(
    link: Link,
    slot: number | undefined,
    operation: (place: Place, signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const server = await this.#server(link, signal);
    return operation({ link, server, slot: slot ?? (await this.#home.find(link, server, signal)) }, signal);
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

  async #probeModel(parts: ProbeParts, signal: AbortSignal): Promise<Capabilities> {
    const { link, server, slot } = parts;
    if (this.#home.isAt(slot)) await this.#requests.enter({ link, server, slot }, randomSalt(), signal);
    const { capabilities, isComplete } = await probeLlamaServer(parts, signal);
    if (isComplete) this.#probed = capabilities;
    return capabilities;
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
      this.#stored.reset();
    }
    // It does not tell when it was started.
    if (wasLost || isAnother) {
      this.#capabilities = null;
      this.#probed = null;
      this.#prompts.reset();
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
}
