import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { advance, type TurnEvent } from '../../../src/core/turns/machine.ts';
import { CwmError, toCwmError } from '../../../src/protocol/errors.ts';
import { parseProjectUri } from '../../../src/protocol/ids.ts';
import { phases, type Message, type Phase } from '../../../src/protocol/schemas/session.ts';
import { FakeVllm } from '../../fakes/fakeVllm.ts';
import { wholeBackends, type WholeBackend } from '../../security/support/wholeBackend.ts';
import { Random } from '../../soak/random.ts';
import { aSession } from '../../store/builders.ts';
import { runs } from '../../support/nightly.ts';
import { temporaryDirectories } from '../support/temporaryDirectory.ts';
import { TurnModel, type CallKind, type Outcome, type ServerMood } from './turnModel.ts';

const start = wholeBackends();
const makeDirectory = temporaryDirectories();

const s = { session: 's' };
const steps = runs(30, 150);
const seeds = Array.from({ length: runs(2, 20) }, (_, at) => at + 1);
const maxTokens = 64;
/** It ends of itself within that. */
const said = 'Yes, it is so.';

const called: Readonly<Record<CallKind, { readonly name: string; readonly arguments: string }>> = {
  tool: { name: 'list_files', arguments: '{}' },
  question: { name: 'ask_user', arguments: '{"question":"Which?"}' },
  invented: { name: 'fly_to_moon', arguments: '{"half' },
};

/** What each phase may be followed by, as the machine itself says when it refuses an event. */
const successors = new Map(phases.map((phase) => [phase, successorsOf(phase)]));

function successorsOf(phase: Phase): ReadonlySet<Phase> {
  const session = aSession({ phase });
  try {
    advance(session, 'no such event' as TurnEvent);
  } catch (error) {
    const allowed = error instanceof CwmError ? (error.context?.['allowed'] as TurnEvent[]) : [];
    return new Set(allowed.map((event) => advance(session, event).phase));
  }
  throw new Error('every event is taken');
}

/** One session on a running backend, the model that it is held against, and the server that answers it. */
class Walk {
  readonly model = new TurnModel();
  readonly happened: string[] = [];
  readonly seen: Phase[] = [];
  readonly #random: Random;
  readonly #server: FakeVllm;
  #backend: WholeBackend;

  constructor(seed: number, server: FakeVllm, backend: WholeBackend) {
    this.#random = new Random(seed);
    this.#server = server;
    this.#backend = backend;
    this.#listen();
  }

  async step(): Promise<void> {
    const events = {
      send: () => this.#send('well'),
      'send, and calls': () => this.#send('well', this.#calls()),
      'send, and a stream that is cut': () => this.#send('cut'),
      'send, and a busy server': () => this.#send('busy once'),
      'send, and a server that is gone': () => this.#send('gone'),
      'send twice at once': () => this.#sendTwice(),
      approve: () => this.#decides('approve'),
      answer: () => this.#decides('answer'),
      deny: () => this.#decides('deny'),
      cancel: async () => this.#agree(this.model.cancel(), await this.#outcome('cancelTurn', s)),
      continue: async () =>
        this.#agree(this.model.continueAnswer(), await this.#outcome('continueAnswer', { ...s, maxTokens })),
      'stop an answer': () => this.#stop(),
      restart: () => this.#restart(),
    } as const;
    const name = this.#random.pick(Object.keys(events) as (keyof typeof events)[]);
    this.happened.push(name);
    this.#server.faults.http = null;
    this.#server.faults.toolCalls = [];
    await events[name]();
    await this.#check();
  }

  /** Phases that followed each other although the machine has no such step. */
  get leaps(): string[] {
    return this.seen.flatMap((phase, at) => {
      const before = this.seen[at - 1];
      const isStep = before === undefined || before === phase || successors.get(before)?.has(phase);
      return isStep ? [] : [`${before} to ${phase}`];
    });
  }

  #listen(): void {
    this.#backend.client.onSignal(({ change }) => {
      if (change.type === 'session' && change.phase !== undefined) this.seen.push(change.phase as Phase);
    });
  }

  #calls(): CallKind[][] {
    const some = (): CallKind[] => (['tool', 'question', 'invented'] as const).filter(() => this.#random.chance(0.5));
    return this.#random.chance(0.3) ? [some(), some()] : [some()];
  }

  #script(answers: readonly (readonly CallKind[])[]): void {
    this.#server.faults.toolCalls = answers.map((calls) => calls.map((kind) => called[kind]));
  }

  async #send(mood: ServerMood, answers: readonly (readonly CallKind[])[] = []): Promise<void> {
    const path = '/v1/c';
    if (mood === 'cut') {
      this.#server.faults.http = { kind: 'cut', afterChunks: 4, path, times: 1 };
    }
    if (mood === 'busy once') this.#server.faults.http = { kind: 'status', status: 429, path, times: 1 };
    if (mood === 'gone') this.#server.faults.http = { kind: 'status', status: 429, path };
    this.#script(answers);
    const expected = this.model.send(mood, answers);
    this.#agree(expected, await this.#outcome('send', { ...s, text: 'And then?', maxTokens }));
  }

  async #sendTwice(): Promise<void> {
    const both = await Promise.all([1, 2].map(() => this.#outcome('send', { ...s, text: 'Both.', maxTokens })));
    if (this.model.phase === 'AwaitingToolApproval') return expect(both, this.#where()).toEqual(['refused', 'refused']);
    // The second one is refused while the first is under way, and taken where that is over.
    expect(both, this.#where()).toContain('done');
    for (const outcome of both) {
      expect(['done', 'refused'], this.#where()).toContain(outcome);
      if (outcome === 'done') this.model.send('well', []);
    }
  }

  async #decides(how: 'approve' | 'answer' | 'deny'): Promise<void> {
    const answers = this.#calls();
    this.#script(answers);
    if (how === 'approve')
      this.#agree(this.model.approve(answers), await this.#outcome('approveTools', { ...s, maxTokens }));
    else if (how === 'deny')
      this.#agree(this.model.deny(answers), await this.#outcome('denyTools', { ...s, maxTokens }));
    else {
      const input = { ...s, answer: 'That one.', maxTokens };
      this.#agree(this.model.answerQuestion(answers), await this.#outcome('answerQuestion', input));
    }
  }

  /** The user stops an answer when its first words are there. */
  async #stop(): Promise<void> {
    if (this.model.phase === 'AwaitingToolApproval') return;
    this.#server.faults.http = { kind: 'silence', afterChunks: 4, path: '/v1/c', times: 1 };
    let begun = (): void => undefined;
    const hasBegun = new Promise<void>((resolve) => (begun = resolve));
    const { client } = this.#backend;
    const sent = client.call('send', { ...s, text: 'Stop me.' }, { onText: () => begun() }).then(
      () => 'done',
      (error: unknown) => toCwmError(error).name,
    );
    await hasBegun;
    await client.call('cancelTurn', s);
    expect(await sent, this.#where()).toBe('Cancelled');
    this.model.send('cut', []);
  }

  async #restart(): Promise<void> {
    const { storage, engine, stop } = this.#backend;
    await stop();
    this.#backend = await start({ storage, engine });
    this.#listen();
    this.model.restart();
  }

  async #outcome(
    route: 'send' | 'approveTools' | 'denyTools' | 'answerQuestion' | 'cancelTurn' | 'continueAnswer',
    input: object,
  ): Promise<Outcome> {
    try {
      await this.#backend.client.call(route, input as never);
      return 'done';
    } catch (error) {
      const { code } = toCwmError(error);
      return code === 'CWM-3001' ? 'refused' : code === 'CWM-1003' ? 'wrong' : 'failed';
    }
  }

  #agree(expected: Outcome, outcome: Outcome): void {
    expect(outcome, this.#where()).toBe(expected);
  }

  #where = (): string => this.happened.join(', ');

  /** The session is as the model says, and each call has its result before anything else is said. */
  async #check(): Promise<void> {
    const { client } = this.#backend;
    const { phase, draft } = await client.call('getSession', s);
    const { pendingToolApprovals, canSendMessage } = await client.call('turnState', s);
    const shown = {
      phase,
      hasDraft: draft !== null,
      canSend: canSendMessage,
      waiting: pendingToolApprovals.map(({ question }) => (question ? 'question' : 'tool')),
    };
    const { model } = this;
    expect(shown, this.#where()).toEqual({
      phase: model.phase,
      hasDraft: model.hasDraft,
      canSend: model.phase !== 'AwaitingToolApproval',
      waiting: model.waiting,
    });
    const messages: Message[] = [];
    for (let hasMore = true; hasMore;) {
      const page = await client.call('listMessages', { ...s, limit: 100, offset: messages.length });
      messages.push(...page.items);
      hasMore = page.hasMore;
    }
    expect(messages.length, this.#where()).toBe(model.messages);
    const open = new Set<string>();
    for (const { content } of messages) {
      if (content.type === 'tool-result') expect(open.delete(content.call), this.#where()).toBe(true);
      else expect([...open], this.#where()).toEqual([]);
      if ('calls' in content) for (const { id } of content.calls) open.add(id);
    }
    expect(open.size > 0, this.#where()).toBe(model.phase === 'AwaitingToolApproval');
  }
}

test(`S4-10, S4-11, S4-12 whatever happens over REST, the session does what the model says (${seeds.length} seeds, ${steps} events each)`, async () => {
  const seen = new Set<Phase>();
  for (const seed of seeds) {
    const server = await FakeVllm.start({ faults: { answer: said, maxModelLen: 1_000_000 } });
    try {
      const backend = await start({ engine: server.url });
      const project = parseProjectUri(pathToFileURL(makeDirectory()).href);
      await backend.client.call('createSession', { id: 's', project, tools: { policy: 'manual' } });
      const walk = new Walk(seed, server, backend);
      for (let step = 0; step < steps; step++) await walk.step();
      expect(walk.leaps, walk.happened.join(', ')).toEqual([]);
      for (const phase of walk.seen) seen.add(phase);
    } finally {
      await server.stop();
    }
  }
  expect([...seen].sort()).toEqual([...phases].sort());
});
