import { describe, expect, test } from 'vitest';
import { CwmError } from '../../src/protocol/errors.ts';
import { BackendConnection } from '../../src/vscode/connection/backendConnection.ts';
import { Conversations } from '../../src/vscode/documents/conversations.ts';
import { documentTexts, type Reports } from '../../src/vscode/documents/documentTexts.ts';
import { conversationText } from '../../src/words/conversationText.ts';
import { viewMessage } from '../../src/vscode/render/viewMessage.ts';
import { ViewState } from '../../src/vscode/state.ts';
import { aState } from './builders.ts';
import { FakeBackend, healthAnswer } from './fakeBackend.ts';

const fail = (error: unknown): never => {
  throw error;
};

function pages(reports: Reports = { change: null, doctor: null, verification: null }) {
  const backend = new FakeBackend({
    health: () => healthAnswer,
    encryption: () => ({ state: 'off', keyId: null, keyFile: null }),
  });
  const state = new ViewState(fail);
  const connection = new BackendConnection(async () => backend, state, fail);
  const texts = documentTexts(connection, state, new Conversations(connection, fail), reports);
  return { backend, connection, texts };
}

describe('pages to read', () => {
  test('the status asks a backend that is connected, and starts none', async () => {
    const { backend, connection, texts } = pages();
    expect(await texts.status('')).toMatch(/\S/);
    expect(backend.asked).toEqual([]);
    await connection.open();
    expect(await texts.status('')).toContain('/storage');
    expect(backend.count('health')).toBe(1);
  });

  test('a result that is gone after a restart names the command that makes it again', async () => {
    const { texts } = pages();
    expect(await texts.doctor('')).toBe('Run "Context Windows: Doctor" to see this again.\n');
    expect(await texts.verification('')).toBe('Run "Context Windows: Verify" to see this again.\n');
  });

  test('a verification shows its steps, each problem and each repair', async () => {
    const result = {
      healthy: false,
      steps: [{ step: 'records', checked: 12, problems: ['window w: its manifest is damaged'] }],
      repairs: ['window w was set aside'],
    };
    const { texts } = pages({ change: null, doctor: null, verification: { result, window: 'w' } });
    const text = await texts.verification('');
    expect(text).toMatch(/^# Verification of window w\n/);
    expect(text).toMatch(/## Problems\n\n- records: window w: its manifest is damaged/);
    expect(text).toMatch(/## Repaired\n\n- window w was set aside/);
  });

  test('S4-20 a conversation says why an answer in it is not whole', () => {
    const content = { type: 'text', text: 'Because of the' } as const;
    const messages = [{ role: 'assistant', content, cut: 'crashed' }] as const;
    const text = conversationText({ title: 'T', earlier: 0, pending: null, messages });
    expect(text).toContain('*The backend ended in the middle of this answer. "Continue Answer" gets the rest.*');
  });

  test('a conversation names the files in it with their sizes, and its messages that are not shown', () => {
    const files = [{ path: 'a.ts', text: 'export {};\n', sha256: 'x' }];
    const text = conversationText({
      title: 'T',
      earlier: 3,
      pending: { text: 'Why?', answer: '' },
      messages: [{ role: 'user', content: { type: 'context', files } }],
    });
    expect(text).toContain('*3 earlier messages are not shown.*');
    expect(text).toMatch(/## Files added to the context\n\n- a\.ts \(11 B\)/);
    expect(text).toMatch(/## You\n\nWhy\?\n\n## Model\n\n…\n$/);
    expect(conversationText({ title: 'T', earlier: 0, pending: null, messages: [] })).toContain('no messages yet');
  });

  test('a conversation shows calls of tools with their arguments, and what came of each', () => {
    const text = conversationText({
      title: 'T',
      earlier: 0,
      pending: null,
      messages: [
        {
          role: 'assistant',
          content: {
            type: 'tool-calls',
            text: 'I look.',
            calls: [{ id: 'c', name: 'read', arguments: '{"path":"a"}' }],
          },
        },
        {
          role: 'tool',
          content: { type: 'tool-result', call: 'c', name: 'read', outcome: 'done', text: 'the text' },
        },
      ],
    });
    expect(text).toContain('## Model calls tools\n\nI look.\n\n- `read {"path":"a"}`');
    expect(text).toContain('## Tool read (done)\n\nthe text');
  });
});

describe('the line above the tree', () => {
  test('says that the backend starts, and why the model server is down', () => {
    expect(viewMessage(aState({ connection: { kind: 'starting' } }))).toBe('Starting the backend…');
    const status = { ...healthAnswer.engines[0], spec: 'http://x', reachable: false };
    const down = (problem: unknown) => aState({ engine: { kind: 'down', status: { ...status, problem } } as never });
    expect(viewMessage(down(null))).toBe('The model server cannot be reached.');
    const problem = new CwmError('EngineUnavailable', 'Nobody listens at http://x.').report();
    expect(viewMessage(down(problem))).toContain('Nobody listens at http://x.');
  });
});
