import { describe, expect, test } from 'vitest';
import { isCwmError } from '../../../src/protocol/errors.ts';
import type { Message } from '../../../src/protocol/schemas/session.ts';
import { fc } from '../../support/fc.ts';
import { isNightly, runs } from '../../support/nightly.ts';
import { coreFixture, never, type CoreFixture } from '../coreFixture.ts';
import { countAtTheWire, type Wire } from './wire.ts';

const limit = 6_144;
/** Each line tells its place, so that a part of it can be found again. */
const lines = (count: number): string => Array.from({ length: count }, (_, at) => `line ${at} of the log\n`).join('');
const call = (id: string, name: string, given: object = {}) => ({ id, name, arguments: JSON.stringify(given) });

async function talkative(most = limit): Promise<{ fixture: CoreFixture; wire: Wire }> {
  const fixture = await coreFixture();
  const wire = countAtTheWire(fixture, most);
  const generate = fixture.engine.generate.bind(fixture.engine);
  fixture.engine.generate = async (request, onPiece, signal) => {
    if (!request.messages.at(-1)?.content.startsWith('Summarise')) return generate(request, onPiece, signal);
    // The calls are for the conversation.
    const kept = fixture.engine.toolCalls;
    fixture.engine.toolCalls = [];
    return generate(request, onPiece, signal).finally(() => (fixture.engine.toolCalls = kept));
  };
  fixture.tools.tools = fixture.tools.tools.filter(({ name }) => name === 'read_file');
  await fixture.cwm.createSession({ id: 's', memory: { enableVm: true }, tools: { policy: 'auto-approve' } });
  return { fixture, wire };
}

const say = ({ cwm }: CoreFixture, text: string) => cwm.send({ session: 's', text, maxTokens: 64 }, never());

async function results({ cwm }: CoreFixture): Promise<Extract<Message['content'], { type: 'tool-result' }>[]> {
  const { items } = await cwm.listMessages({ session: 's', limit: 100 });
  return items.flatMap(({ content }) => (content.type === 'tool-result' ? [content] : []));
}

describe('what is too long for a prompt', () => {
  test('S1-64 a tool result that would fill the next request of its turn enters with its beginning and its end; the session has all of it', async () => {
    const { fixture, wire } = await talkative();
    const log = lines(2_000);
    fixture.tools.act = async () => ({ text: log, hasFailed: false });
    fixture.engine.toolCalls = [[call('1', 'read_file')]];
    const said = await say(fixture, 'Read the log.');
    expect(said.text).toBe('fine');
    expect(said.notes).toContainEqual(expect.stringMatching(/The result of read_file takes .* page p3-[0-9a-f]{4}/));
    expect(wire.over).toEqual([]);
    expect((await results(fixture))[0]?.text).toBe(`[$v0]\n${log}`);
    const prompt = wire.prompts.at(-1) ?? '';
    expect(prompt).toContain('line 0 of the log');
    expect(prompt).toContain('line 1999 of the log');
    expect(prompt).not.toContain('line 1000 of the log');
    expect(prompt).toMatch(
      /\[[\d,]+ of [\d,]+ characters are left out here: page p3-[0-9a-f]{4}\. The tool page_fault, if it is offered,/,
    );
    expect(fixture.engine.offered.at(-1)).toContain('page_fault');
  });

  test('S1-50 page_fault reads on where the excerpt ends, as much as there is room for, and says where the next part begins', async () => {
    const { fixture, wire } = await talkative();
    fixture.tools.act = async () => ({ text: lines(2_000), hasFailed: false });
    fixture.engine.toolCalls = [
      [call('1', 'read_file')],
      [call('2', 'page_fault', { page_id: 'p3', from_character: 20_000 })],
    ];
    await say(fixture, 'Read the log.');
    const [whole, part] = await results(fixture);
    const { page } = JSON.parse(part?.text ?? '{}') as {
      page: { content: string; from_character: number; next_character: number };
    };
    expect(page.from_character).toBe(20_000);
    expect(page.content.length).toBeGreaterThan(500);
    expect(page.next_character).toBe(20_000 + page.content.length);
    expect(whole?.text.slice(20_000, page.next_character)).toBe(page.content);
    expect(wire.over).toEqual([]);
  });

  test('a message of the user that is larger than the room is sent, and stays whole in the session', async () => {
    const { fixture, wire } = await talkative();
    const text = `Here is a log.\n${lines(800)}What went wrong?`;
    const said = await say(fixture, text);
    expect(said.notes).toContainEqual(expect.stringContaining('The message takes'));
    expect(wire.prompts.at(-1)).toContain('What went wrong?');
    expect(wire.over).toEqual([]);
    const { items } = await fixture.cwm.listMessages({ session: 's', limit: 10 });
    expect(items[0]?.content).toMatchObject({ text });
    // It stays as the model had it, so that the prefix stays, too.
    await say(fixture, 'And now?');
    expect(wire.prompts.at(-1)).toContain(wire.prompts[0]?.slice(0, -2));
  });

  test('S1-50 where no tool is offered, the user is told that the model cannot read the rest, and the prompt promises none', async () => {
    const { fixture, wire } = await talkative();
    await fixture.cwm.updateSession({ session: 's', memory: { enableVm: true, vmMode: 'passive' } }, never());
    const { notes } = await say(fixture, `Here is a log.\n${lines(800)}What went wrong?`);
    expect(notes).toContainEqual(expect.stringContaining('It is offered no tool with which it could read the rest.'));
    expect(wire.prompts.at(-1)).toContain('The tool page_fault, if it is offered,');
  });

  test('S1-50 a message of which the prompt has a part comes back whole when the user asks for it', async () => {
    const { fixture } = await talkative();
    await say(fixture, `Here is a log.\n${lines(800)}What went wrong?`);
    fixture.engine.model = { ...fixture.engine.model, maxModelLen: 131_072 };
    await fixture.cwm.faultPage({ session: 's', page: 'p1' }, never());
    const { items } = await fixture.cwm.listMessages({ session: 's', limit: 10 });
    expect(JSON.stringify(items.at(-1)?.content)).toContain('line 400 of the log');
  });

  test('several results of one answer share the room', async () => {
    const { fixture, wire } = await talkative();
    fixture.tools.act = async () => ({ text: lines(150), hasFailed: false });
    fixture.engine.toolCalls = [['1', '2', '3', '4'].map((id) => call(id, 'read_file', { id }))];
    await say(fixture, 'Read them.');
    expect((await results(fixture)).every(({ excerpt }) => (excerpt?.head ?? 0) > 50)).toBe(true);
    expect(wire.over).toEqual([]);
  });

  test('a turn of many long results goes on: its first rounds leave the prompt, and its question stays', async () => {
    const { fixture, wire } = await talkative();
    let read = 0;
    fixture.tools.act = async () => ({ text: `part ${read++}: ${lines(100)}`, hasFailed: false });
    fixture.engine.toolCalls = Array.from({ length: 6 }, (_, at) => [call(String(at), 'read_file', { at })]);
    expect((await say(fixture, 'Read it all, and think of the heron.')).text).toBe('fine');
    expect(read).toBe(6);
    expect(wire.over).toEqual([]);
    expect(wire.prompts.at(-1)).toContain('think of the heron');
    expect((await fixture.cwm.memoryState({ session: 's' })).segments.length).toBeGreaterThan(0);
  });

  test('a model server that is gone when a result is to be counted loses no result', async () => {
    const { fixture } = await talkative();
    const log = lines(8_000);
    fixture.tools.act = async () => {
      fixture.engine.fault = 'EngineUnavailable';
      return { text: log, hasFailed: false };
    };
    fixture.engine.toolCalls = [[call('1', 'read_file')]];
    await expect(say(fixture, 'Read the log.')).rejects.toMatchObject({ name: 'EngineUnavailable' });
    expect((await results(fixture))[0]).toMatchObject({ text: `[$v0]\n${log}`, excerpt: { head: 49_152 } });
  });

  test('without virtual memory a result is cut, as before', async () => {
    const fixture = await coreFixture();
    await fixture.cwm.createSession({ id: 's', memory: { enableVm: false }, tools: { policy: 'auto-approve' } });
    fixture.tools.act = async () => ({ text: lines(100), hasFailed: false });
    fixture.engine.toolCalls = [[call('1', 'read_file')]];
    await say(fixture, 'Read the log.');
    expect((await results(fixture))[0]).not.toHaveProperty('excerpt');
  });
});

const step = fc.record({
  text: fc.nat({ max: 9_000 }),
  results: fc.array(fc.array(fc.nat({ max: 30_000 }), { minLength: 1, maxLength: 3 }), { maxLength: 4 }),
  maxTokens: fc.integer({ min: 1, max: 3_000 }),
  /** What the model's limit becomes; null: it stays. */
  limit: fc.option(fc.integer({ min: 6_000, max: 20_000 }), { freq: 4 }),
});

test(
  'S1-64 no request of any conversation is longer than the limit of its moment, tools and the answer included',
  { timeout: isNightly ? 600_000 : 30_000 },
  () =>
    fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
        const { fixture, wire } = await talkative();
        const most = fixture.engine.model;
        let isSmaller = false;
        for (const [at, { text, results, maxTokens, limit: next }] of steps.entries()) {
          isSmaller ||= next !== null && next < (fixture.engine.model.maxModelLen ?? 0);
          fixture.engine.model = { ...most, maxModelLen: next ?? fixture.engine.model.maxModelLen };
          const lengths = results.flat();
          fixture.tools.act = async () => ({ text: 'long '.repeat((lengths.shift() ?? 0) / 5), hasFailed: false });
          fixture.engine.toolCalls = results.map((round, number) =>
            round.map((_, which) => call(`${at}-${number}-${which}`, 'read_file', { at, number, which })),
          );
          const input = { session: 's', text: `Say. ${'word '.repeat(text / 5)}`, maxTokens };
          const said = await fixture.cwm.send(input, never()).catch((error: unknown) => {
            // Segments that were made for a longer context may leave no room in a shorter one.
            if (isSmaller && isCwmError(error, 'ContextTooLong')) return null;
            throw error;
          });
          expect(wire.over).toEqual([]);
          expect(said?.text ?? 'fine').toBe('fine');
        }
      }),
      { numRuns: runs(8, 200), endOnFailure: true },
    ),
);
