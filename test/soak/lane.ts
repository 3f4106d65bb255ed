import type { TrashItem } from '../../src/protocol/schemas/space.ts';
import type { ClientProcess } from './clientProcess.ts';
import { windowOfTrash } from './effect.ts';
import type { Ledger } from './ledger.ts';
import type { Random } from './random.ts';
import { outputOf, type Outcome, type Request } from './request.ts';

const maxSessions = 4;
const maxWindows = 5;
const maxMessages = 12;

/** Refusals that other lanes can cause: what was to be used is gone, or ten operations are under way. */
const expectedRefusals: ReadonlySet<string> = new Set(['CWM-2001', 'CWM-2002', 'CWM-2009', 'CWM-7003', 'CWM-5010']);
const honestVerdicts: ReadonlySet<unknown> = new Set(['proven', 'reused', 'partial', 'rebuilt', 'damaged']);

export interface LaneWorld {
  readonly ledger: Ledger;
  readonly random: Random;
  /** The model server. */
  readonly engine: string;
  /** Codes with which it may refuse because it was killed, and verdicts of a thaw. */
  readonly mayRefuse: readonly string[];
  readonly mayJudge: readonly string[];
  /** Files of its KV are damaged between rounds, which a verification finds. */
  readonly damagesFiles: boolean;
  /** Whether windows are pruned now, rather than taken back. */
  readonly prunes: () => boolean;
  /** Told of every request that has ended. */
  readonly onEnd: (lane: string, request: Request, outcome: Outcome) => void;
}

/** Somebody who works with sessions and windows of their own, one request after another, and thaws those of others too. */
export class Lane {
  readonly name: string;
  readonly client: ClientProcess;
  readonly #world: LaneWorld;
  #made = 0;

  constructor(name: string, client: ClientProcess, world: LaneWorld) {
    this.name = name;
    this.client = client;
    this.#world = world;
  }

  /** @throws Error when an answer is none that may be given. */
  async work(goesOn: () => boolean): Promise<void> {
    while (goesOn() && !this.client.isLost) await this.#perform((await this.#restoring()) ?? this.#choose());
  }

  async #perform(request: Request): Promise<Outcome> {
    const { ledger, onEnd } = this.#world;
    ledger.begin(request);
    const outcome = await this.client.ask(request);
    ledger.end(request, this.#isHalfDone(outcome) ? { kind: 'unknown' } : outcome);
    onEnd(this.name, request, outcome);
    const wrong = complaint(request, outcome, this.#world);
    if (wrong !== null) throw new Error(`${this.name}: ${wrong} (${JSON.stringify(request)})`);
    return outcome;
  }

  /** Where the model server was killed in a turn, text and part of an answer may be stored. */
  #isHalfDone(outcome: Outcome): boolean {
    return outcome.kind === 'refused' && this.#world.mayRefuse.includes(outcome.report.code);
  }

  /** Takes a window back, if one was deleted; what there is must be asked first. */
  async #restoring(): Promise<Request | null> {
    const { random, ledger, prunes } = this.#world;
    if (prunes() || !random.chance(0.06)) return null;
    const listed = await this.#perform({ name: 'listTrash', input: {} });
    if (listed.kind !== 'done') return null;
    const isOurs = ({ kind, id }: TrashItem): boolean =>
      kind === 'window' && this.#isOwn(windowOfTrash(id)) && ledger.discarded.has(windowOfTrash(id));
    const items = outputOf('listTrash', listed.output).items.filter(isOurs);
    return items.length === 0 ? null : { name: 'restoreFromTrash', input: { item: random.pick(items).id } };
  }

  #choose(): Request {
    const { ledger, random, engine, prunes } = this.#world;
    const usable = <Fact>(facts: ReadonlyMap<string, Fact>): [string, Fact][] =>
      [...facts].filter(([name]) => !ledger.uncertain.has(name));
    const sessions = usable(ledger.sessions).filter(([id]) => this.#isOwn(id));
    const open = sessions.filter(([, { frozenAs }]) => frozenAs === null);
    const talked = open.filter(([, { ids }]) => ids !== null);
    const short = open.filter(([, { texts }]) => texts.length < maxMessages);
    const frozen = sessions.filter(([, { frozenAs }]) => frozenAs !== null && ledger.windows.has(frozenAs));
    const all = usable(ledger.windows).map(([name]) => name);
    const own = all.filter((name) => this.#isOwn(name));
    const create: Request = { name: 'createSession', input: { id: this.#next('s'), engine } };
    if (sessions.length >= maxSessions) {
      return { name: 'deleteSession', input: { session: random.pick(sessions)[0], cascade: true } };
    }
    if (own.length >= maxWindows) return { name: 'deleteWindow', input: { window: random.pick(own) } };

    const choices: [number, boolean, () => Request][] = [
      [2, sessions.length < 2, () => create],
      [10, short.length > 0, () => this.#send(random.pick(short)[0])],
      [3, talked.length > 0, () => this.#freeze(random.pick(talked)[0], true)],
      [3, talked.length > 0, () => this.#freeze(random.pick(talked)[0], false)],
      [3, all.length > 0, () => ({ name: 'thaw', input: { window: random.pick(all), session: this.#next('t') } })],
      [4, frozen.length > 0, () => this.#resume(random.pick(frozen)[1].frozenAs ?? '')],
      [2, own.length > 0, () => ({ name: 'clone', input: { window: random.pick(own), target: this.#next('c') } })],
      [
        1,
        own.length > 0,
        () => ({ name: 'pinWindow', input: { window: random.pick(own), pinned: random.chance(0.6) } }),
      ],
      [1, own.length > 0, () => ({ name: 'deleteWindow', input: { window: random.pick(own) } })],
      [0.3, !prunes(), () => ({ name: 'emptyTrash', input: { all: true } })],
      [1, prunes(), () => ({ name: 'prune', input: { keep: 10 } })],
      [0.3, true, () => ({ name: 'verify', input: {} })],
      [0.3, true, () => ({ name: 'usage', input: {} })],
    ];
    const possible = choices.filter(([, isPossible]) => isPossible);
    let at = random.next() * possible.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, , make] of possible) if ((at -= weight) < 0) return make();
    return create;
  }

  #send(session: string): Request {
    const text = `${this.#next('words')} "${'ünïcödé 🧊 '.repeat(1 + this.#world.random.below(12))}"\n\\ end`;
    return { name: 'send', input: { session, text, maxTokens: 1 + this.#world.random.below(12) } };
  }

  #freeze(session: string, checkpoint: boolean): Request {
    return { name: 'freeze', input: { session, window: this.#next('w'), checkpoint } };
  }

  #resume(window: string): Request {
    return { name: 'thaw', input: { window, resume: true } };
  }

  #next(what: string): string {
    return `${this.name}-${what}${++this.#made}`;
  }

  #isOwn(name: string): boolean {
    return name.startsWith(`${this.name}-`);
  }
}

/** What is wrong with an answer by itself; null when nothing is. */
function complaint(
  { name }: Request,
  outcome: Outcome,
  { mayRefuse, mayJudge, damagesFiles }: Pick<LaneWorld, 'mayRefuse' | 'mayJudge' | 'damagesFiles'>,
): string | null {
  if (outcome.kind === 'refused') {
    const { code, message } = outcome.report;
    return expectedRefusals.has(code) || mayRefuse.includes(code) ? null : `refused with ${code}: ${message}`;
  }
  if (outcome.kind === 'unknown') return null;
  if (name === 'verify') {
    const found = outputOf('verify', outcome.output).steps.flatMap(({ problems }) => problems);
    const wrong = damagesFiles
      ? found.filter((problem) => !/KV blocks differ from the frozen ones/.test(problem))
      : found;
    return wrong.length === 0 ? null : `verify found ${JSON.stringify(wrong)}`;
  }
  if (name !== 'thaw') return null;
  const { verdict } = outputOf('thaw', outcome.output);
  return honestVerdicts.has(verdict) || (verdict !== null && mayJudge.includes(verdict))
    ? null
    : `the verdict of a thaw is ${verdict}`;
}
