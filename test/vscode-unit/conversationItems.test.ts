import { describe, expect, test } from 'vitest';
import type { Message, MessageContent, Session, ShownMessage } from '../../src/protocol/schemas/session.ts';
import { conversationItems } from '../../src/vscode/documents/conversationItems.ts';
import { messageId } from '../support/ids.ts';
import { aSession, aWindow } from './builders.ts';

const message = (
  id: string,
  role: Message['role'],
  content: string | MessageContent,
  more: Partial<ShownMessage> = {},
) => ({
  id: messageId(id),
  role,
  parentId: null,
  sequence: 1,
  content: typeof content === 'string' ? ({ type: 'text', text: content } as const) : content,
  createdAt: '2026-11-20T10:00:00.000Z',
  ...more,
});

const shown = (messages: Message[], session: Session = aSession(), windows = [] as ReturnType<typeof aWindow>[]) =>
  conversationItems({ messages, inProgress: null }, session, windows);
const commandsOf = (item: { actions: readonly { command: string }[] } | undefined) =>
  item?.actions.map(({ command }) => command);

describe('the reading view of a conversation', () => {
  test('has the buttons that a message can use: edit, another answer, the rest of a cut one, a branch, a way back', () => {
    const items = shown([message('u', 'user', 'Why?'), message('a', 'assistant', 'Because', { cut: 'limit' })]);
    expect(commandsOf(items[0])).toEqual(['cwm.editMessage', 'cwm.newBranch', 'cwm.rollBack']);
    expect(commandsOf(items[1])).toEqual(['cwm.regenerate', 'cwm.continueAnswer', 'cwm.newBranch']);
    expect(items[1]?.note).toContain('cut at its limit');
    expect(items[0]).toMatchObject({ source: 'Why?', heading: 'You', message: 'u' });
  });

  test('a message that got no answer has the button for one', () => {
    const [item] = shown([message('u', 'user', 'Why?')]);
    expect(commandsOf(item)).toEqual(['cwm.editMessage', 'cwm.regenerate', 'cwm.newBranch']);
  });

  test.each([
    ['frozen', { lifecycle: 'frozen' }],
    ['busy', { phase: 'StreamingLLMResponse' }],
  ] as const)('a session that is %s has no button that it would refuse', (_, changes) => {
    const [item] = shown([message('u', 'user', 'Why?')], aSession(changes));
    expect(commandsOf(item)).toEqual([]);
  });

  test('a window stands behind its last message, with its receipt and its last verdict', () => {
    const at = '2026-11-20T10:00:00.000Z';
    const window = aWindow({ lastMessage: 'u', lastThaw: { verdict: 'proven', at } });
    const items = shown([message('u', 'user', 'Why?'), message('a', 'assistant', 'Because')], aSession(), [window]);
    expect(items.map(({ kind }) => kind)).toEqual(['user', 'window', 'model']);
    expect(items[1]).toMatchObject({ heading: 'Frozen as auth-refactor-1', note: '8,192 tokens · last thaw: proven' });
    expect(commandsOf(items[1])).toEqual(['cwm.showReceipt', 'cwm.thaw', 'cwm.compare']);
  });

  test('a tool call that waits can be decided on, others are only shown, and a result is folded', () => {
    const call = (id: string) => ({ id, name: 'write', arguments: '{"path":"a"}' });
    const calls = [call('c1'), call('c2'), call('c3')];
    const pendingTools = {
      round: 1,
      calls: [
        { ...call('c1'), why: 'it is dangerous' },
        call('c2'),
        { ...call('c3'), why: 'so', decision: 'denied' as const },
      ],
    };
    const waits = aSession({ phase: 'AwaitingToolApproval', pendingTools });
    const asked = message('m', 'assistant', { type: 'tool-calls', text: 'I write.', reasoning: 'Hm.', calls });
    expect(shown([asked], waits)[0]?.blocks.map(({ type }) => type)).toEqual([
      'folded',
      'markdown',
      'call',
      'plain',
      'plain',
    ]);
    expect(shown([asked])[0]?.blocks.map(({ type }) => type)).not.toContain('call');
    const result = { type: 'tool-result', call: 'c1', name: 'write', text: 'Written.', outcome: 'done' } as const;
    const [item] = shown([message('t', 'tool', result)]);
    expect(item).toMatchObject({ heading: 'Tool write (done)', blocks: [{ type: 'folded', text: 'Written.' }] });
  });

  test('no button ends a branch between a call and its result, or asks for another answer to a result', () => {
    const calls = { type: 'tool-calls', text: '', calls: [{ id: 'c', name: 'read', arguments: '{}' }] } as const;
    const result = { type: 'tool-result', call: 'c', name: 'read', text: 'x', outcome: 'done' } as const;
    const items = shown([
      message('u', 'user', 'Read.'),
      message('m', 'assistant', { ...calls, calls: [...calls.calls] }),
      message('t', 'tool', result),
      message('a', 'assistant', 'Read.'),
    ]);
    expect(items.map(commandsOf)).toEqual([
      ['cwm.editMessage', 'cwm.newBranch', 'cwm.rollBack'],
      ['cwm.regenerate'],
      ['cwm.newBranch', 'cwm.rollBack'],
      ['cwm.newBranch'],
    ]);
  });

  test('S4-03 a question that waits has its choices to press; once answered, it is only shown', () => {
    const question = { text: 'Which colour?', choices: ['red', 'blue'] };
    const call = { id: 'q', name: 'ask_user', arguments: '{}', question };
    const asked = message('m', 'assistant', { type: 'question', text: '', calls: [call] });
    const pendingTools = { round: 1, calls: [{ ...call, why: 'The model asks you.' }] };
    const [waits] = shown([asked], aSession({ phase: 'AwaitingToolApproval', pendingTools }));
    const block = { type: 'question', text: 'Which colour?', choices: ['red', 'blue'] };
    expect(waits).toMatchObject({ heading: 'Model asks you', blocks: [{ ...block, call: 'q' }] });
    expect(shown([asked])[0]?.blocks).toEqual([{ ...block, call: '' }]);
  });

  test('S1-35 an answer says which tokens it took and what they cost, and nothing where the model server counted none', () => {
    const took = { model: 'm', promptTokens: 1023, cachedTokens: 1008, outputTokens: 40 };
    const silent = { model: 'm', promptTokens: null, cachedTokens: null, outputTokens: null };
    const items = shown([
      message('u', 'user', 'Why?'),
      message('a', 'assistant', 'Because', { taken: took }),
      message('b', 'assistant', 'Because', { taken: silent, cost: null }),
      message('c', 'assistant', 'Because', { taken: took, cost: { amount: 0.00012, currency: 'EUR' } }),
    ]);
    const tokens = '1,023 tokens sent, 1,008 of them reused; 40 generated';
    expect(items.map(({ note }) => note)).toEqual(['', `${tokens}.`, '', `${tokens}; cost 0.000120 EUR.`]);
  });

  test('S4-03 a plan that is the last message can be accepted, and one that was cut can be continued', () => {
    const plan = message('p', 'assistant', { type: 'plan', text: 'First, dig.' });
    const [whole] = shown([plan]);
    expect(whole).toMatchObject({ heading: 'Plan', source: 'First, dig.' });
    expect(commandsOf(whole)).toContain('cwm.acceptPlan');
    expect(commandsOf(shown([{ ...plan, cut: 'limit' }])[0])).not.toContain('cwm.acceptPlan');
    expect(commandsOf(shown([plan, message('u', 'user', 'No.')])[0])).not.toContain('cwm.acceptPlan');
  });

  test('S4-03 a message of a kind that a later version stored is shown with all that is stored of it', () => {
    const content = { type: 'unknown', kind: 'workflow', whole: { type: 'workflow', steps: [1] } } as const;
    const [item] = shown([message('w', 'assistant', content)]);
    expect(item?.heading).toBe('Message of an unknown kind');
    expect(item?.blocks[1]).toMatchObject({ type: 'folded', text: expect.stringContaining('"steps"') });
  });

  test('files are folded, pictures are named, and a lost message says so', () => {
    const files = message('f', 'user', { type: 'context', files: [{ path: 'a.ts', text: 'é' }] });
    const media = [{ type: 'image', mediaType: 'image/png', sha256: '', sizeBytes: 1200 } as const];
    const picture = message('p', 'user', { type: 'text', text: 'Look.', media });
    const lost = message('l', 'user', 'It was here.', { lost: '2026-11-20T10:00:00.000Z' });
    const items = shown([files, picture, lost]);
    expect(items[0]?.blocks).toEqual([{ type: 'folded', summary: 'a.ts (2 B)', text: 'é' }]);
    expect(items[1]?.blocks[0]).toEqual({ type: 'plain', text: 'Picture: PNG, 1.2 kB' });
    expect(items[2]).toMatchObject({ heading: 'Lost message', source: '' });
    expect(commandsOf(items[2])).not.toContain('cwm.editMessage');
  });

  test('what is in progress grows at the end', () => {
    const inProgress = { text: 'And now?', answer: 'It', reasoning: 'Let me see.' };
    const items = conversationItems({ messages: [], inProgress }, aSession(), []);
    expect(items.map(({ key, isGrowing }) => [key, isGrowing])).toEqual([
      ['sent', false],
      ['answer', true],
    ]);
    expect(items[1]?.blocks.map(({ type }) => type)).toEqual(['folded', 'markdown']);
    expect(conversationItems({ messages: [], inProgress: { ...inProgress, text: null } }, aSession(), [])).toHaveLength(
      1,
    );
  });
});
