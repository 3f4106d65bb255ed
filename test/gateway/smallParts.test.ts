import { describe, expect, test } from 'vitest';
import { chatContent } from '../../src/gateway/formats/messages/messagesContent.ts';
import { responsesFormat } from '../../src/gateway/formats/responses/responsesFormat.ts';
import { plainPath } from '../../src/gateway/passing/plainPath.ts';
import { asMessage } from '../../src/gateway/recording/asMessage.ts';
import { RecentAnswers } from '../../src/gateway/recording/recentAnswers.ts';
import { messageId } from '../support/ids.ts';

describe('what the gateway is asked for', () => {
  test('a path that a model server could read as another one is no path', () => {
    expect(plainPath('/v1/models?x=1')).toEqual({ path: '/v1/models', query: '?x=1' });
    expect(plainPath('/v1/%2e%2e/slots')).toEqual({ path: '/slots', query: '' });
    for (const strange of ['/v1/%E0%A4%A', '/v1/%252e', '//elsewhere/v1', '/v1/a%5Cb'])
      expect(plainPath(strange), strange).toBeNull();
  });

  test('a search result and a document are their texts; a part without text is refused by name', () => {
    const result = {
      type: 'search_result',
      title: 'Barns',
      source: 'https://a.b',
      content: [{ type: 'text', text: 'Red.' }],
    };
    const document = { type: 'document', title: 'Letter', source: { type: 'content', content: 'Dear all.' } };
    expect(chatContent([result, document])).toEqual(
      ['Barns\nhttps://a.b', 'Red.', 'Letter', 'Dear all.'].map((text) => ({ type: 'text', text })),
    );
    expect(() => chatContent([{ type: 'hologram' }])).toThrow('hologram');
  });
});

describe('what the gateway remembers', () => {
  test('recent answers are forgotten, the oldest first, when their prompts are longer than the limit', () => {
    const answers = new RecentAnswers(10);
    const item = { role: 'assistant', text: 'Yes.' } as const;
    const wire = responsesFormat.chat;
    const put = (id: string, serverId: string) =>
      answers.put(id, { sent: '{"m', output: ['{}'], hasInstructions: false, item, wire, client: 'c', serverId });
    put('a', '1');
    put('b', '2');
    put('c', '2');
    expect([answers.item('a'), answers.item('b'), answers.item('c')]).toEqual([null, item, item]);
    expect([answers.upTo('a'), answers.named('c', '1'), answers.named('c', '2'), answers.named('d', '2')]).toEqual([
      null,
      null,
      'c',
      null,
    ]);
  });

  test('a result of a tool has the name of its call, as far as this question goes, and a picture has a line', () => {
    const user = { id: messageId('m1'), role: 'user', before: null, length: 1 };
    const asked = { id: messageId('m2'), role: 'assistant', before: user, length: 2, callNames: { c1: 'read' } };
    const result = { id: messageId('m3'), role: 'tool', before: asked, length: 3 };
    const named = (callId: string) =>
      asMessage(
        result as never,
        { role: 'tool', text: 'x', callId, others: ['image:abc'] },
        '2026-11-20T10:00:00.000Z',
        null,
        (said) => said.before,
      ).content;
    expect(named('c1')).toMatchObject({ name: 'read', text: 'x\n[image]' });
    expect(named('c9')).toMatchObject({ name: 'tool' });
  });
});
