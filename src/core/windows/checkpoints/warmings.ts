import { isCwmError, nullOn, toCwmError } from '../../../protocol/errors.ts';
import type { ProjectUri, SessionId } from '../../../protocol/ids.ts';
import type { Receipt } from '../../../protocol/schemas/receipt.ts';
import type { Session } from '../../../protocol/schemas/session.ts';
import type { KvRecord, WindowManifest } from '../../../protocol/schemas/window.ts';
import type { Warming } from '../../../protocol/schemas/warming.ts';
import type { CoreContext } from '../../context.ts';
import { isOpen } from '../../lifecycle.ts';
import { saltOf } from '../../ports/lineages.ts';
import { silent } from '../../ports/reporter.ts';
import { describeSoon } from '../thaw/bringKvBack.ts';
import { isDecidedByChecksum } from '../thaw/restoreLeft.ts';
import { AskedAhead } from './askedAhead.ts';
import { LoadRates } from './loadRates.ts';
import { warmFromBase, warmFromCheckpoint } from './warmFrom.ts';
import { resumeUnasked } from '../thaw/resumeFrozen.ts';

/** Computing this long, in milliseconds, is nothing to do unasked. */
const askAboveMs = 30_000;

/** The KV that was saved of a session, with its window where the session is frozen. */
interface Saved {
  readonly manifest: WindowManifest;
  readonly kv: KvRecord;
  /** What computing the context took or would take when it was saved; null when that is not known. */
  readonly computeMs: number | null;
  /** It is that of the base that the session begins with. */
  readonly isOfBase?: true;
}

/** Who opens a session's project. */
export interface Opening {
  /** Null: a session of no project. */
  readonly project: ProjectUri | null;
  /** The project that the same client leaves for it. */
  readonly leaving: ProjectUri | null;
  /** Whether the user asked for it, whatever it costs. */
  readonly insist: boolean;
}

/** It was not begun. */
export const notBegun = (why: string): Warming => ({
  state: 'none',
  why,
  tokens: 0,
  tokensBehind: 0,
  computeMs: null,
  kvBytes: null,
  loadMs: null,
  receipt: null,
});

/**
 * Brings the KV of sessions back before anybody asks for it. A message that comes to the session waits for it, and so computes nothing
 * twice.
 */
export class Warmings {
  readonly #core: () => CoreContext;
  readonly #onFailure: (error: unknown) => void;
  readonly #onKvWritten: () => void;
  readonly #last = new Map<SessionId, Warming>();
  /** The clients that opened a session whose KV is being brought back. */
  readonly #openers = new Map<SessionId, Set<string>>();
  readonly #loads = new LoadRates();
  readonly #running = new Set<Promise<unknown>>();
  #ahead: AskedAhead | null = null;

  /** @param onKvWritten called after each attempt that may have made an engine write KV. */
  constructor(core: () => CoreContext, onFailure: (error: unknown) => void, onKvWritten: () => void) {
    this.#onKvWritten = onKvWritten;
    this.#core = core;
    this.#onFailure = onFailure;
  }

  /** As of the last opening in this process. */
  of(id: SessionId): Warming {
    return this.#last.get(id) ?? notBegun('Nobody opened it since the backend started.');
  }

  /** What will be asked about KV that is about to be brought back. */
  get ahead(): AskedAhead {
    return (this.#ahead ??= new AskedAhead(this.#core().clock));
  }

  /**
   * Before a session is opened: asks its engine what it is, and reads the file of its checkpoint where the checksum alone decides, while the caller
   * makes room. Never rejects.
   */
  async lookAhead(id: SessionId): Promise<void> {
    const core = this.#core();
    const checkpoint = await core.store.checkpoints.get(id).catch(() => null);
    if (!checkpoint) return;
    const { signal } = new AbortController();
    const { engine } = checkpoint.manifest;
    this.ahead.descriptions.begin(id, () => describeSoon(core, engine, Promise.resolve(checkpoint.kv), signal));
    const [block] = checkpoint.kv.blocks;
    if (!block || !isDecidedByChecksum(checkpoint.kv)) return;
    this.ahead.checksums.begin(
      block.hash,
      async () => (await core.engines.get(engine).checksum([block.hash], signal))[0] ?? null,
    );
  }

  /** Starts it where it is worth it, and returns at once. */
  async open(session: Session, opening: Opening): Promise<Warming> {
    const { background, caller, checkpoints, turns } = this.#core();
    const { id } = session;
    const running = this.#openers.get(id);
    if (running !== undefined) {
      running.add(caller().client);
      return this.of(id);
    }
    const isUnsaved = session.lifecycle !== 'frozen' && checkpoints.isOnlyInMemory(session);
    const saved = isUnsaved ? null : await this.#savedOf(session);
    const planned = isUnsaved
      ? notBegun("Its last turn was here, so its KV is in the model server's memory.")
      : this.#plan(session, saved, opening);
    // Another client may have opened it since.
    if (planned.state !== 'running' || !saved || background.isRunning(id) || turns.isBusy(id)) {
      this.#track(checkpoints.left.leave(session, opening.leaving));
      return this.#tell(id, opening, planned.state === 'running' ? notBegun('The session is busy.') : planned);
    }
    this.#openers.set(id, new Set([caller().client]));
    this.#tell(id, opening, planned);
    this.#track(this.#run(session, saved, planned, opening));
    return planned;
  }

  /** The last client that leaves stops what runs. */
  async leave(id: SessionId): Promise<void> {
    const { background, caller } = this.#core();
    const openers = this.#openers.get(id);
    if (openers === undefined) return;
    // Each run of a command line is another client: one that opened nothing leaves for one that did.
    if (!openers.delete(caller().client)) for (const first of [...openers].slice(0, 1)) openers.delete(first);
    if (openers.size === 0) await background.stop(id);
  }

  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  /**
   * Before a message to a session that its model server may not have in memory: where that finds no KV by itself, what was saved is brought back.
   * Resolves when the session is ready. @throws the signal's reason, and those of the store.
   */
  async makeReady(id: SessionId, signal: AbortSignal): Promise<void> {
    const { background, holders, store } = this.#core();
    const session = await nullOn(store.sessions.get(id), 'Corrupted');
    // A frozen session is resumed by its message.
    if (!session || !isOpen(session) || session.engine.startsWith('embedded')) return;
    if (await holders.isHeldBy(session, signal)) return;
    // Server kinds other than llama-server find the blocks of a prompt by themselves.
    const saved = await this.#savedOf(session);
    if (saved?.kv.engineKind !== 'llama-server') return;
    if (saved.isOfBase && (await this.#isOnBase(holders.of(session.engine), saved.manifest))) return;
    await this.open(session, { project: session.project, leaving: null, insist: false });
    await background.giveWay(id, signal);
  }

  /** Whether the session begins with this base, or is the one that holds it. */
  async #isOnBase(id: SessionId | null, { name, session }: WindowManifest): Promise<boolean> {
    if (id === null || id === session) return id === session;
    return (await nullOn(this.#core().store.sessions.get(id), 'Corrupted'))?.base === name;
  }

  async #savedOf({ id, lifecycle, frozenAs, base }: Session): Promise<Saved | null> {
    const { store } = this.#core();
    if (lifecycle === 'frozen' && frozenAs !== null) {
      const manifest = await nullOn(store.windows.get(frozenAs), 'Corrupted');
      const kv = manifest && (await nullOn(store.windows.loadKv(frozenAs), 'Corrupted'));
      const receipts = await store.receipts.list(frozenAs).catch(() => []);
      return manifest && kv && { manifest, kv, computeMs: receipts.at(-1)?.expectedPrefillMs ?? null };
    }
    const checkpoint = await store.checkpoints.get(id);
    if (checkpoint) return { ...checkpoint, computeMs: checkpoint.receipt.expectedPrefillMs };
    const manifest = base === undefined ? null : await nullOn(store.windows.get(base), 'Corrupted');
    const kv = manifest && (await nullOn(store.windows.loadKv(manifest.name), 'Corrupted', 'WindowNotFound'));
    return manifest && kv && { manifest, kv, computeMs: null, isOfBase: true };
  }

  /** Tokens to compute at the rate that was seen against bytes to load at the rate that was seen. What was never measured does not stop it. */
  #plan(session: Session, saved: Saved | null, { insist }: Opening): Warming {
    if (session.lifecycle !== 'frozen' && !isOpen(session)) return notBegun(`The session is ${session.lifecycle}.`);
    if (!session.tokens) return notBegun('It has no context yet.');
    if (!saved) return notBegun('No checkpoint of it was made.');
    const { manifest, kv } = saved;
    if (session.lifecycle !== 'frozen' && manifest.engine !== session.engine)
      return notBegun('Its KV was saved by another model server.');
    const { count: tokens } = manifest.tokens;
    const computeMs = this.#core().prefill.expectedMs(manifest.engine, tokens) ?? saved.computeMs;
    const loadMs = kv.kvBytes === null ? null : this.#loads.expectedMs(manifest.engine, kv.kvBytes);
    const planned = {
      tokens,
      tokensBehind: Math.max(0, session.tokens.count - tokens),
      computeMs,
      kvBytes: kv.kvBytes,
      loadMs,
      receipt: null,
    };
    if (!insist && computeMs !== null && loadMs !== null && loadMs > computeMs)
      return { ...planned, state: 'none', why: 'Computing the context costs less than loading it.' };
    return { ...planned, state: 'running', why: 'Its KV is being brought back.' };
  }

  async #run(session: Session, saved: Saved, planned: Warming, opening: Opening): Promise<void> {
    const { id } = session;
    const core = this.#core();
    try {
      const ended = await core.background.run(id, false, async (signal) => {
        await core.checkpoints.left.leave(session, opening.leaving);
        signal.throwIfAborted();
        if (!opening.insist && (await this.#isGone(session, saved, planned, signal)))
          return { ...planned, state: 'ask' as const, why: 'Its KV is gone, and computing it again takes long.' };
        const receipt = await this.#bringBack(session, saved, signal);
        if (!receipt) return notBegun('No checkpoint of it was made.');
        this.#note(session, receipt);
        return { ...planned, state: 'done' as const, why: receipt.summary, receipt };
      });
      this.#openers.delete(id);
      this.#tell(id, opening, ended);
    } catch (error) {
      this.#openers.delete(id);
      const failure = toCwmError(error);
      const isStopped = isCwmError(failure, 'Cancelled');
      if (!isCwmError(failure, 'Cancelled', 'EngineUnavailable', 'ModelMismatch')) this.#onFailure(error);
      this.#tell(id, opening, { ...planned, state: isStopped ? 'stopped' : 'failed', why: failure.message });
    } finally {
      this.#onKvWritten();
    }
  }

  #bringBack(
    { id, lifecycle, frozenAs }: Session,
    { isOfBase, manifest }: Saved,
    signal: AbortSignal,
  ): Promise<Receipt | null> {
    const core = this.#core();
    if (isOfBase) return warmFromBase(core, id, manifest.name, signal);
    if (lifecycle !== 'frozen' || frozenAs === null) return warmFromCheckpoint(core, id, signal);
    return resumeUnasked(core, frozenAs, signal, silent);
  }

  /** Whether most of it would have to be computed, for long, as far as the files can be seen. */
  async #isGone(
    { id, lifecycle }: Session,
    { manifest, kv, isOfBase }: Saved,
    { computeMs }: Warming,
    signal: AbortSignal,
  ): Promise<boolean> {
    if (kv.blocks.length === 0 || (computeMs ?? 0) <= askAboveMs) return false;
    const { engines, store } = this.#core();
    const ids =
      lifecycle === 'frozen' || isOfBase
        ? await store.windows.loadTokens(manifest.name)
        : await store.sessions.loadTokens(id, manifest.tokens.sha256);
    const salt = saltOf(await store.lineages.get(manifest.lineage));
    const located = await engines.get(manifest.engine).locate({ ids, salt, handle: kv.handle }, signal);
    if (!located.reachable) return false;
    return located.blocks.filter(({ stat }) => stat !== null).length < located.blocks.length / 2;
  }

  #note(session: Session, { verdict, tier, kvBytes, ms, promptTokens, timeToFirstTokenMs }: Receipt): void {
    // The server that did not answer has nothing of it, once it does.
    if (verdict === 'text-only') return;
    const { holders } = this.#core();
    holders.took(session.engine, session.id, holders.slotOf(session.engine, session.id));
    // Of what no request measured, reading the file was nearly all.
    const loadMs = promptTokens === null ? ms : timeToFirstTokenMs;
    if (tier !== 'disk' || !kvBytes || loadMs === null) return;
    this.#loads.observe(session.engine, { bytes: kvBytes, ms: loadMs });
  }

  #tell(id: SessionId, { project }: Opening, warming: Warming): Warming {
    this.#last.set(id, warming);
    if (project !== null) this.#core().changes.emit({ type: 'project', project });
    return warming;
  }

  #track(work: Promise<unknown>): void {
    this.#running.add(work);
    void work.finally(() => this.#running.delete(work));
  }
}
