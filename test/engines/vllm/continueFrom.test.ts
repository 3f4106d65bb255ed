import { describe, expect, onTestFinished, test } from 'vitest';
import { silent } from '../../../src/core/ports/reporter.ts';
import { ReasoningSplitter } from '../../../src/engines/vllm/chat/reasoningSplitter.ts';
import { coreOver, type CoreOver } from '../llamaServer/coreOver.ts';
import type { FakeFaults } from '../../fakes/fakeFaults.ts';
import { makeRig, never, type Rig } from './rig.ts';
import { fc } from '../../support/fc.ts';

/** A window of a conversation with a vLLM that was restarted since, with another template. */
async function frozenThenChanged(
  before: Partial<FakeFaults>,
  after: Partial<FakeFaults>,
): Promise<CoreOver & { readonly rig: Rig }> {
  const rig = await makeRig({ fake: { faults: before }, tier: {} });
  const core = await coreOver(rig.engine);
  onTestFinished(() => core.dispose());
  await core.cwm.createSession({ id: 's' });
  await core.cwm.send(
    { session: 's', text: `Please go through this: ${'one, two, three, '.repeat(20)}`, maxTokens: 40 },
    never,
  );
  await core.cwm.freeze({ session: 's', window: 'w', checkpoint: true }, never);
  await rig.fake.restart(after);
  return { ...core, rig };
}

const promptOf = (rig: Rig): readonly number[] | undefined =>
  (rig.fake.requestsTo('/v1/completions').at(-1)?.body as { prompt?: readonly number[] } | undefined)?.prompt;

describe('vLLM goes on from what a thaw proved', () => {
  const cases: Record<string, readonly [Partial<FakeFaults>, Partial<FakeFaults>]> = {
    'a date in the template': [{ templateLine: 'Today is Monday.' }, { templateLine: 'Today is Tuesday.' }],
    'tools in another order': [{ templateLine: 'Tools: read, write' }, { templateLine: 'Tools: write, read' }],
    'a template that drops old reasoning': [
      { answer: '<think>let me see</think>fine' },
      { answer: '<think>hm</think>yes', dropsReasoning: true },
    ],
    'reasoning that the server tells apart': [
      { answer: '<think>let me see</think>fine', tellsReasoning: true },
      { answer: '<think>hm</think>yes', tellsReasoning: true },
    ],
  };

  test.each(Object.entries(cases))('%s', async (_, [before, after]) => {
    const { rig, cwm, ...core } = await frozenThenChanged(before, after);
    const receipt = await core.thaw();
    expect(receipt.verdict).toBe('proven');
    const { nextMessage } = receipt;
    expect(nextMessage).toMatchObject({ reusedTokens: Math.floor(receipt.tokens / 16) * 16, leavesAtToken: null });
    const sent = await cwm.send({ session: receipt.session, text: 'Continue.', maxTokens: 40 }, never);
    expect(sent).toMatchObject({
      cachedTokens: nextMessage?.reusedTokens,
      promptTokens: nextMessage?.promptTokens,
      prefixBreak: null,
    });
    expect(rig.fake.served.at(-1)?.isReusedRight()).toBe(true);
    expect(promptOf(rig)).toHaveLength(sent.promptTokens);
    const again = await cwm.send({ session: receipt.session, text: 'And then?', maxTokens: 40 }, never);
    expect(again.prefixBreak).toBeNull();
    expect(again.cachedTokens).toBeGreaterThan(sent.promptTokens - 16);
  });

  test('K5 reasoning stays a part of its own where the server does not tell it apart for ids', async () => {
    const told = { tellsReasoning: true };
    const { cwm, ...core } = await frozenThenChanged(
      { ...told, answer: '<think>let me see</think>fine' },
      { ...told, answer: '<think>hm</think>\n\nyes' },
    );
    const { session } = await core.thaw();
    const pieces: string[] = [];
    const reporter = { ...silent, text: (piece: string) => void pieces.push(piece) };
    const sent = await cwm.send({ session, text: 'Continue.', maxTokens: 40 }, never, reporter);
    expect([sent.text, pieces.join('')]).toEqual(['yes', 'yes']);
    const { items } = await cwm.listMessages({ session });
    expect(items.at(-1)?.content).toEqual({ type: 'text', text: 'yes', reasoning: 'hm' });
  });

  test('a server that refuses ids as a prompt costs the reuse, not the answer, and that is said', async () => {
    const { rig, cwm, ...core } = await frozenThenChanged({ templateLine: 'Monday' }, { templateLine: 'Tuesday' });
    const { session } = await core.thaw();
    rig.fake.faults.http = { kind: 'status', status: 400, path: '/v1/completions', message: 'no token ids here' };
    const sent = await cwm.send({ session, text: 'Continue.', maxTokens: 12 }, never);
    expect(sent.text).not.toBe('');
    expect(sent.prefixBreak).not.toBeNull();
    expect(sent.notes.join(' ')).toContain('no token ids here');
  });

  test('reasoning without known marks is left to the server, and that is said', async () => {
    const { rig, cwm, ...core } = await frozenThenChanged(
      { answer: '<think>let me see</think>fine', tellsReasoning: true },
      {},
    );
    rig.fake.faults.http = { kind: 'status', status: 404, path: '/detokenize' };
    const { session } = await core.thaw();
    const sent = await cwm.send({ session, text: 'Continue.', maxTokens: 12 }, never);
    expect(sent.notes.join(' ')).toContain("marks around this model's reasoning");
  });
});

test('reasoning is told from the answer the same way, however the text is cut into pieces', () => {
  const texts = [
    ['marked', '<think>a < b </thin </think>\n\nyes <think>', 'a < b </thin', 'yes <think>'],
    ['marked', '  [THINK]hm[/THINK]yes', 'hm', 'yes'],
    ['marked', '<thinking> is no mark', '', '<thinking> is no mark'],
    ['marked', '<th', '', '<th'],
    ['marked', '<think>cut in the mid</thi', 'cut in the mid</thi', ''],
    ['open', 'hm</think>yes</think>', 'hm', 'yes</think>'],
    ['text', '<think>hm</think>yes', '', '<think>hm</think>yes'],
  ] as const;
  fc.assert(
    fc.property(
      fc.constantFrom(...texts),
      fc.array(fc.nat(60), { maxLength: 8 }),
      ([form, text, thought, said], cuts) => {
        const splitter = new ReasoningSplitter(form);
        const ends = [...new Set([...cuts.filter((at) => at < text.length), text.length])].sort((a, b) => a - b);
        const heard = ends.map((end, index) => splitter.push(text.slice(ends[index - 1] ?? 0, end))).join('');
        expect([splitter.reasoning, heard + splitter.end()].slice(1)).toEqual([said]);
        expect(splitter.reasoning).toBe(thought);
      },
    ),
  );
});
