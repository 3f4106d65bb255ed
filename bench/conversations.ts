import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Engine } from '../src/core/ports/engine.ts';
import { FakeTools } from '../test/core/fakeTools.ts';
import { atMost, mustHold, timed, type Benchmark, type Figure } from './benchmark.ts';
import { coreWith, type PassingCore } from './coreWith.ts';
import { SilentEngine, type SilentAnswer } from './silentEngine.ts';

/** Conversations over the real store, with every fsync, on an engine that computes nothing (S4). */
export const conversations: Benchmark = {
  ids: ['N1', 'N2', 'N3', 'N4', 'N5', 'N7'],
  async run() {
    const figures: Figure[] = [];
    for (const measure of [longOne, besideEachOther, withTools, streamed, createdAndDeleted, planned, memory])
      figures.push(...(await measure()));
    return figures;
  },
};

const said = (): SilentAnswer => ({ pieces: ['And so it went. '.repeat(10)] });
const core = (answer = said, tools?: FakeTools): Promise<PassingCore> =>
  // An engine that computes nothing has nothing to make a checkpoint of.
  coreWith(new SilentEngine(answer) as unknown as Engine, tools, { checkpoints: { enabled: false } });

/** Sends so many messages one after the other. */
async function talk({ cwm }: PassingCore, session: string, turns: number): Promise<void> {
  for (let at = 0; at < turns; at++)
    await cwm.send({ session, text: `Message ${at}. ${'And so it goes on. '.repeat(8)}` });
}

const countOf = async ({ cwm }: PassingCore, session: string): Promise<number> =>
  (await cwm.listMessages({ session, limit: 1 })).total;

async function longOne(): Promise<Figure[]> {
  await using on = await core();
  await on.cwm.createSession({ id: 's' });
  const { ms } = await timed(() => talk(on, 's', 500));
  mustHold((await countOf(on, 's')) === 1000, 'all messages are stored');
  return [atMost('N1', 'a conversation of 1,000 messages', ms, 5000, 1)];
}

async function besideEachOther(): Promise<Figure[]> {
  await using on = await core();
  const ids = Array.from({ length: 10 }, (_, at) => `s-${at}`);
  for (const id of ids) await on.cwm.createSession({ id });
  const { ms } = await timed(() => Promise.all(ids.map((id) => talk(on, id, 50))));
  for (const id of ids) mustHold((await countOf(on, id)) === 100, `session ${id} has its own messages and no others`);
  return [atMost('N2', '10 conversations of 100 messages at the same time', ms, 10_000, 1)];
}

async function withTools(): Promise<Figure[]> {
  let asked = 0;
  const tools = new FakeTools();
  await using on = await core(
    () =>
      asked++ % 2 === 0
        ? { pieces: [], toolCalls: [{ id: `call-${asked}`, name: 'look_up', arguments: '{}' }] }
        : { pieces: ['It is done.'] },
    tools,
  );
  await on.cwm.createSession({ id: 's', tools: { policy: 'auto-approve' } });
  const { ms } = await timed(() => talk(on, 's', 100));
  mustHold(tools.called.length === 100, 'each tool was called');
  mustHold((await countOf(on, 's')) === 400, 'calls, results and answers are stored');
  mustHold((await on.cwm.getSession({ session: 's' })).phase === 'Idle', 'the session is at rest');
  return [atMost('N3', '100 turns with a tool call each, 400 messages', ms, 3000, 1)];
}

async function streamed(): Promise<Figure[]> {
  const pieces = Array.from({ length: 100 }, (_, at) => `piece ${at} `);
  await using on = await core(() => ({ pieces }));
  await on.cwm.createSession({ id: 's' });
  const { ms } = await timed(() => talk(on, 's', 50));
  const { items, total } = await on.cwm.listMessages({ session: 's', limit: 100 });
  const answers = items.filter(({ role }) => role === 'assistant');
  mustHold(total === 100 && answers.length === 50, 'all answers are stored');
  const whole = pieces.join('');
  mustHold(
    answers.every(({ content }) => content.type === 'text' && content.text === whole),
    'each answer is exactly what was streamed',
  );
  return [atMost('N4', '50 answers of 100 pieces', ms, 5000, 1)];
}

async function createdAndDeleted(): Promise<Figure[]> {
  await using on = await core();
  const round = async (id: string): Promise<void> => {
    await on.cwm.createSession({ id });
    await talk(on, id, 50);
    await on.cwm.deleteSession({ session: id });
  };
  await round('first');
  const before = heapBytes();
  for (let at = 0; at < 10; at++) await round(`s-${at}`);
  return [flat('N5', 'heap after 10 sessions of 100 messages were created and deleted', heapBytes(), before)];
}

async function planned(): Promise<Figure[]> {
  await using on = await core();
  const { ms } = await timed(async () => {
    await on.cwm.createSession({ id: 'turns' });
    await talk(on, 'turns', 3);
    await on.cwm.createSession({ id: 'modes', mode: 'plan' });
    await talk(on, 'modes', 1);
    await on.cwm.updateSession({ session: 'modes', mode: 'act' });
    await talk(on, 'modes', 1);
    await on.cwm.createSession({ id: 'branches' });
    await talk(on, 'branches', 1);
    const [question] = (await on.cwm.listMessages({ session: 'branches' })).items;
    await on.cwm.createBranch({ session: 'branches', name: 'alternative', at: question?.id ?? null, switch: false });
    await talk(on, 'branches', 1);
  });
  const branch = await on.cwm.listMessages({ session: 'branches', branch: 'alternative' });
  mustHold((await countOf(on, 'turns')) === 6, 'three turns are six messages');
  mustHold((await countOf(on, 'modes')) === 4, 'plan and act are four messages of one conversation');
  mustHold((await countOf(on, 'branches')) === 4 && branch.total === 1, 'a branch changes nothing on the other one');
  return [atMost('N7', 'three turns; a plan and its act; two branches', ms, 1000, 1)];
}

/** What 5,000 turns leave in the heap, once the caches of conversations are full. */
async function memory(): Promise<Figure[]> {
  await using on = await core();
  const sessions = async (from: number, to: number): Promise<number> => {
    for (let at = from; at < to; at++) {
      await on.cwm.createSession({ id: `s-${at}` });
      await talk(on, `s-${at}`, 10);
    }
    return heapBytes();
  };
  const before = await sessions(0, 120);
  return [flat('N5', 'heap after 5,000 turns more, in 500 sessions', await sessions(120, 620), before)];
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function heapBytes(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

const flat = (id: string, what: string, value: number, before: number): Figure => ({
  id,
  what,
  unit: 'bytes',
  value,
  baseline: { what: 'before', value: before },
  ratio: value / before,
  wanted: 'within 10 %',
  met: value <= 1.1 * before,
  runs: 1,
});
