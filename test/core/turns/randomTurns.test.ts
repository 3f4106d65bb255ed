import { expect, test } from 'vitest';
import type { Core } from '../../../src/core/core.ts';
import { CwmError, type ErrorName } from '../../../src/protocol/errors.ts';
import { Random } from '../../soak/random.ts';
import { codeOf, coreFixture, never, type CoreFixture } from '../coreFixture.ts';
import { restarted } from './restarted.ts';

const s = { session: 's' };
const steps = 40;

type Event = (random: Random, fixture: CoreFixture, cwm: Core) => Promise<unknown>;

const send: Event = (_, __, cwm) => codeOf(cwm.send({ ...s, text: 'And then?' }, never()));

/** What can happen to a session, by its users, its model server and its tools. */
const events: Readonly<Record<string, Event>> = {
  send,
  'an answer with tool calls': (random, fixture, cwm) => {
    const names = ['read_file', 'look_up', 'delete_file', 'no_such_tool', 'ask_user'];
    const chosen = names.filter(() => random.chance(0.4));
    fixture.engine.toolCalls = [
      chosen.map((name) => ({ id: 'x', name, arguments: random.chance(0.8) ? '{"question": "Which?"}' : '{"half' })),
    ];
    return send(random, fixture, cwm);
  },
  'a stream that is cut': (random, fixture, cwm) => {
    fixture.engine.breaksAfter = {
      words: 1,
      by: () => Promise.reject(new CwmError('StreamCut', 'The stream was cut.')),
    };
    return send(random, fixture, cwm);
  },
  'a user who stops': async (_, fixture, cwm) => {
    fixture.engine.breaksAfter = {
      words: 1,
      by: async (signal) => {
        void cwm.cancelTurn(s, never());
        signal.throwIfAborted();
      },
    };
    await codeOf(cwm.send({ ...s, text: 'And then?' }, never()));
    await cwm.cancelTurn(s, never());
  },
  'an engine that fails': async (random, fixture, cwm) => {
    fixture.engine.fault = random.pick([
      'EngineUnavailable',
      'EngineFailed',
      'EngineTimeout',
    ] as const satisfies ErrorName[]);
    await send(random, fixture, cwm);
  },
  approve: (_, __, cwm) => codeOf(cwm.approveTools(s, never())),
  deny: (_, __, cwm) => codeOf(cwm.denyTools({ ...s, reason: 'No.' }, never())),
  answer: (_, __, cwm) => codeOf(cwm.answerQuestion({ ...s, answer: 'That one.' }, never())),
  cancel: (_, __, cwm) => codeOf(cwm.cancelTurn(s, never())),
  continue: (_, __, cwm) => codeOf(cwm.continueAnswer(s, never())),
  checkpoint: (random, __, cwm) =>
    codeOf(cwm.freeze({ ...s, window: `w${random.below(1e9)}`, checkpoint: true }, never())),
};

/** What holds between any two events. */
async function check(cwm: Core, where: string): Promise<void> {
  const { phase, pendingTools } = await cwm.getSession(s);
  expect(['Idle', 'AwaitingToolApproval'], where).toContain(phase);
  expect(pendingTools !== undefined, where).toBe(phase === 'AwaitingToolApproval');
  const messages = [];
  for (let more = true; more;) {
    const page = await cwm.listMessages({ ...s, limit: 100, offset: messages.length });
    messages.push(...page.items);
    more = page.hasMore;
  }
  expect(
    messages.map(({ sequence }) => sequence),
    where,
  ).toEqual(messages.map((_, at) => at + 1));
  const open = new Set<string>();
  for (const { content } of messages) {
    // Each call has one result, before anything else is said.
    if (content.type === 'tool-result') expect(open.delete(content.call), where).toBe(true);
    else expect([...open], where).toEqual([]);
    if ('calls' in content) for (const { id } of content.calls) open.add(id);
  }
  const waiting = pendingTools?.calls.map(({ id }) => id) ?? [];
  expect([...open], where).toEqual(waiting);
}

test.each([1, 2, 3, 4, 5, 6])(
  'S4-11, S4-12 whatever happens in whichever order, a session never gets stuck (seed %i)',
  async (seed) => {
    const random = new Random(seed);
    const fixture = await coreFixture();
    let { cwm } = fixture;
    await cwm.createSession({ id: 's', tools: { policy: 'auto-loop', rounds: 2 } });
    const happened: string[] = [];
    for (let step = 0; step < steps; step++) {
      fixture.engine.fault = null;
      fixture.engine.breaksAfter = null;
      fixture.engine.toolCalls = [];
      const name = random.pick([...Object.keys(events), 'restart']);
      happened.push(name);
      if (name === 'restart') {
        cwm = await restarted(fixture);
      } else await events[name]?.(random, fixture, cwm);
      await check(cwm, happened.join(', '));
    }
    fixture.engine.fault = null;
    fixture.engine.breaksAfter = null;
    await cwm.cancelTurn(s, never());
    expect((await cwm.send({ ...s, text: 'Well?' }, never())).text).toBe('fine');
  },
);
