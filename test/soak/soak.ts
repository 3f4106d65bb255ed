import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { takeBackendLock } from '../../src/backend/process/backendLock.ts';
import type { Disposable } from '../../src/base/disposable.ts';
import { ClientProcess } from './clientProcess.ts';
import { auditedWindows, examine, sorted, type Examined } from './examine.ts';
import { Lane } from './lane.ts';
import { Ledger } from './ledger.ts';
import { startModelServer, type KvPlace, type ModelServer } from './modelServer.ts';
import { Random } from './random.ts';
import { outputOf, type Outcome, type Request } from './request.ts';

export interface SoakOptions {
  readonly seed: number;
  readonly rounds: number;
  /** Ends earlier, after the round under way, when it is over. */
  readonly timeMs: number;
  /** Default: in memory. */
  readonly kv?: KvPlace;
  readonly onRound?: (report: SoakReport) => void;
  readonly signal?: AbortSignal;
}

/** What was done, counted. */
export interface SoakReport {
  rounds: number;
  /** `kill -9` of a backend, in all; how many of them hit one that was just starting; and of a client. */
  backendKills: number;
  startKills: number;
  clientKills: number;
  /** And of the engine below a backend. */
  engineKills: number;
  /** Requests that were acknowledged, refused for a reason that may be, and cut off by a kill. */
  acknowledged: number;
  refused: number;
  cutOff: number;
  /** Acknowledged ones by their route. */
  readonly byRoute: Record<string, number>;
  readonly thawVerdicts: Record<string, number>;
  readonly freezeVerdicts: Record<string, number>;
  /** Block files of windows in which a bit was flipped. */
  damagedFiles: number;
}

/** A promise of the store or of the clients that did not hold. */
export class SoakFailure extends Error {
  override readonly name = 'SoakFailure';
}

/** Two windows of VS Code, the command line, and another program with two tasks at once. */
const kinds = ['vscode', 'vscode', 'cli', 'script'] as const;
const lanesOf = [1, 1, 1, 2] as const;
/** A store gets slower to read through with every round: after so many, a new one begins. */
const roundsPerStore = 100;
/** No answer may take longer, kill or not. */
const patienceMs = 60_000;

/**
 * Kills real backends under real clients and holds what is left against what was acknowledged.
 *
 * @throws SoakFailure that names the seed, the round, what is wrong, and the folder with the store as it was found.
 */
export async function soak(options: SoakOptions): Promise<SoakReport> {
  const report: SoakReport = {
    rounds: 0,
    backendKills: 0,
    startKills: 0,
    clientKills: 0,
    engineKills: 0,
    acknowledged: 0,
    refused: 0,
    cutOff: 0,
    byRoute: {},
    thawVerdicts: {},
    freezeVerdicts: {},
    damagedFiles: 0,
  };
  const random = new Random(options.seed);
  const endMs = performance.now() + options.timeMs;
  const isOver = (): boolean =>
    report.rounds >= options.rounds || performance.now() > endMs || options.signal?.aborted === true;
  while (!isOver()) {
    const field = await Field.open(random, report, options.kv ?? 'memory');
    try {
      for (let round = 0; round < roundsPerStore && !isOver(); round++) {
        await field.round();
        report.rounds++;
        options.onRound?.(report);
      }
    } catch (error) {
      throw new SoakFailure(
        `Seed ${options.seed}, round ${report.rounds + 1}: ${error instanceof Error ? error.message : String(error)}\nKept in ${field.keep()}`,
        { cause: error },
      );
    } finally {
      await field.close();
    }
  }
  return report;
}

/** One storage directory with all who use it. */
class Field {
  readonly #random: Random;
  readonly #report: SoakReport;
  readonly #storage: string;
  readonly #engine: ModelServer;
  readonly #ledger = new Ledger();
  readonly #clients: readonly [ClientProcess, ...ClientProcess[]];
  readonly #lanes: readonly Lane[];
  readonly #journal: string[] = [];
  /** Windows that were acknowledged since the last look at the audit log. */
  readonly #madeWindows = new Set<string>();
  /** Of each window, as its record had them at the end of the round before. */
  readonly #blocks = new Map<string, readonly string[]>();
  #prunes = false;
  #lastKilled: number | null = null;
  /** While no backend may run. */
  #lock: Disposable | null = null;

  static async open(random: Random, report: SoakReport, kv: KvPlace): Promise<Field> {
    const storage = mkdtempSync(join(tmpdir(), 'cwm-soak-'));
    return new Field(random, report, storage, await startModelServer(kv, storage));
  }

  private constructor(random: Random, report: SoakReport, storage: string, engine: ModelServer) {
    this.#storage = storage;
    this.#random = random;
    this.#report = report;
    this.#engine = engine;
    const start = (kind: string): ClientProcess => new ClientProcess(this.#storage, kind);
    const [first, ...others] = kinds;
    this.#clients = [start(first), ...others.map(start)];
    const world = {
      ledger: this.#ledger,
      random,
      engine: engine.spec,
      mayRefuse: engine.mayRefuse,
      mayJudge: engine.mayJudge,
      damagesFiles: engine.damagesFiles,
      prunes: () => this.#prunes,
      onEnd: (lane: string, request: Request, outcome: Outcome) => this.#note(lane, request, outcome),
    };
    let count = 0;
    this.#lanes = this.#clients.flatMap((client, index) =>
      Array.from({ length: lanesOf[index] ?? 1 }, () => new Lane(`${client.kind}${++count}`, client, world)),
    );
  }

  /** Work, one or two kills somewhere in it, and a look at what is left. */
  async round(): Promise<void> {
    const random = this.#random;
    this.#prunes = random.chance(0.2);
    if (random.chance(0.2)) await this.#engine.evict();
    let goesOn = true;
    const work = Promise.all(this.#lanes.map((lane) => lane.work(() => goesOn)));
    // What goes wrong in a lane is seen when it is waited for; until then the others go on.
    work.catch(() => (goesOn = false));
    if (this.#engine.hasProcesses && random.chance(0.3)) await this.#killEngineSomewhere();
    await this.#killSomewhere();
    if (random.chance(0.25)) await this.#killSomewhere();
    if (random.chance(0.1)) this.#killClient();
    goesOn = false;
    await inTime(work, 'a request was not answered');
    const lost = this.#clients.find(({ isLost }) => isLost);
    if (lost) throw new Error(`A ${lost.kind} client ended by itself; what it said stands above.`);
    this.#lock = await this.#takeStorage();
    const examined = await examine(this.#storage);
    this.#compare(examined);
    this.#lock.dispose();
    this.#lock = null;
    await this.#allSee(examined);
    this.#blocks.clear();
    for (const [name, { blocks = [] }] of examined.windows) this.#blocks.set(name, blocks);
    const blocks = [...this.#blocks.values()].flat();
    if (random.chance(0.7) && this.#engine.damage(random, blocks)) this.#report.damagedFiles++;
  }

  /** @returns where what there is now can be looked at. */
  keep(): string {
    const folder = mkdtempSync(join(tmpdir(), 'cwm-soak-failure-'));
    cpSync(this.#storage, join(folder, 'store'), { recursive: true, filter: (path) => !path.endsWith('.sock') });
    writeFileSync(join(folder, 'journal.jsonl'), `${this.#journal.join('\n')}\n`);
    const facts = { sessions: [...this.#ledger.sessions], windows: [...this.#ledger.windows] };
    writeFileSync(join(folder, 'acknowledged.json'), JSON.stringify(facts, null, 2));
    return folder;
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.end();
    this.#lock ??= await this.#takeStorage();
    this.#lock.dispose();
    await this.#engine.stop();
    rmSync(this.#storage, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }

  #note(lane: string, request: Request, outcome: Outcome): void {
    const { byRoute, thawVerdicts, freezeVerdicts } = this.#report;
    const at = new Date().toISOString();
    this.#journal.push(JSON.stringify({ at, round: this.#report.rounds + 1, lane, ...request, outcome }));
    if (outcome.kind === 'refused') this.#report.refused++;
    if (outcome.kind === 'unknown') this.#report.cutOff++;
    if (outcome.kind !== 'done') return;
    this.#report.acknowledged++;
    byRoute[request.name] = (byRoute[request.name] ?? 0) + 1;
    if (request.name === 'freeze') this.#madeWindows.add(request.input.window);
    if (request.name === 'clone') this.#madeWindows.add(request.input.target);
    if (request.name !== 'thaw' && request.name !== 'freeze') return;
    const receipt = outputOf(request.name, outcome.output);
    const verdicts = request.name === 'thaw' ? thawVerdicts : freezeVerdicts;
    verdicts[receipt.verdict ?? 'none'] = (verdicts[receipt.verdict ?? 'none'] ?? 0) + 1;
    const window = this.#ledger.windows.get(request.input.window);
    const wrong = window
      ? this.#engine.falseProof(receipt, window.ids, this.#blocks.get(request.input.window) ?? [])
      : null;
    if (wrong !== null) throw new Error(`${lane}: ${wrong} (${JSON.stringify(request)})`);
  }

  /** Now and then while the backend starts, mostly after some requests. */
  async #killSomewhere(): Promise<void> {
    const isEarly = this.#random.chance(0.2);
    if (isEarly) await delay(this.#random.below(400));
    else {
      const wanted = this.#report.acknowledged + 1 + this.#random.below(25);
      const latestMs = performance.now() + 5000;
      while (this.#report.acknowledged < wanted && performance.now() < latestMs) await delay(1);
      await delay(this.#random.below(15));
    }
    const holder = takeBackendLock(this.#storage, () => undefined);
    if (holder.held) holder.lock.dispose();
    else if (holder.by) {
      this.#kill(holder.by.pid);
      if (isEarly) this.#report.startKills++;
    }
  }

  /** Ends the engine below the backend that runs now, if there is one, and not the backend. */
  async #killEngineSomewhere(): Promise<void> {
    const wanted = this.#report.acknowledged + 1 + this.#random.below(10);
    const latestMs = performance.now() + 3000;
    for (let killed = 0; killed === 0 && performance.now() < latestMs; await delay(1)) {
      if (this.#report.acknowledged < wanted) continue;
      const holder = takeBackendLock(this.#storage, () => undefined);
      if (holder.held) holder.lock.dispose();
      else if (holder.by) killed = this.#engine.killBelow(holder.by.pid);
      this.#report.engineKills += killed;
    }
  }

  #kill(pid: number): void {
    try {
      process.kill(pid, 'SIGKILL');
      if (pid !== this.#lastKilled) this.#report.backendKills++;
      this.#lastKilled = pid;
    } catch (error) {
      // It has just ended by itself: there was another one already.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }

  #killClient(): void {
    this.#random.pick(this.#clients).replace();
    this.#report.clientKills++;
  }

  /** Ends whatever backend there is, and keeps others from starting. */
  async #takeStorage(): Promise<Disposable> {
    const untilMs = performance.now() + patienceMs;
    for (;;) {
      const taken = takeBackendLock(this.#storage, () => undefined);
      if (taken.held) return taken.lock;
      if (taken.by) this.#kill(taken.by.pid);
      if (performance.now() > untilMs) throw new Error('The storage directory can not be had.');
      await delay(2);
    }
  }

  #compare(examined: Examined): void {
    const problems = [...examined.problems, ...this.#ledger.settle(examined)];
    const audited = auditedWindows(this.#storage);
    for (const name of this.#madeWindows) if (!audited.has(name)) problems.push(`window ${name}: not in the audit log`);
    this.#madeWindows.clear();
    if (problems.length > 0) throw new Error(problems.join('\n'));
  }

  /** Every client comes to show what is there, with nobody changing anything. */
  async #allSee({ picture }: Examined): Promise<void> {
    const watching = this.#clients.filter(({ kind }) => kind !== 'cli');
    // Signals alone start no backend.
    await inTime(
      Promise.all(watching.map((client) => client.ask({ name: 'health', input: {} }))),
      'no backend came up',
    );
    const untilMs = performance.now() + patienceMs;
    for (const client of watching) {
      for (;;) {
        const shown = await inTime(client.look(), 'a client shows nothing');
        const isRight = shown !== null && isDeepStrictEqual({ ...shown, sessions: sorted(shown.sessions) }, picture);
        if (isRight) break;
        if (performance.now() > untilMs) {
          throw new Error(`A client shows ${JSON.stringify(shown)}, and there is ${JSON.stringify(picture)}`);
        }
        await delay(10);
      }
    }
  }
}

async function inTime<T>(work: Promise<T>, otherwise: string): Promise<T> {
  const ended = new AbortController();
  const late = delay(patienceMs, undefined, { signal: ended.signal }).then(
    () => Promise.reject(new Error(`For ${patienceMs / 1000} s ${otherwise}.`)),
    () => new Promise<never>(() => undefined),
  );
  try {
    return await Promise.race([work, late]);
  } finally {
    ended.abort();
  }
}
