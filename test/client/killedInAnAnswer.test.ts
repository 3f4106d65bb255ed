import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeVllm } from '../fakes/fakeVllm.ts';
import { until } from '../support/until.ts';
import { killHard, readRecord, realBackends } from './support/realBackends.ts';

const { makeStorage, client } = realBackends();
const question = 'Please tell me everything that you know about prefix caches.';

let server: FakeVllm;
beforeEach(async () => {
  server = await FakeVllm.start({ faults: { answer: 'One two three four five six seven eight nine ten.' } });
});
afterEach(() => server.stop());

describe('a backend that is killed in the middle of an answer', () => {
  it.each(['once the log has it', 'at once'])('S4-06 loses at most the last batch of it: %s', async (when) => {
    const storage = makeStorage();
    const one = client(storage, {});
    await one.call('createSession', { id: 's', engine: server.url });
    server.faults.http = { kind: 'silence', afterChunks: 12, path: '/v1/' };
    server.onRequest = ({ path }) => {
      server.faults.http = path.includes('completions') ? { kind: 'silence', afterChunks: 12 } : null;
    };
    let heard = '';
    const sending = one.call(
      'send',
      { session: 's', text: question, maxTokens: 100 },
      { onText: (piece) => (heard += piece) },
    );
    sending.catch(() => undefined);
    await until('a piece of the answer', () => heard !== '');
    const log = join(storage, 'answers.jsonl');
    if (when !== 'at once')
      await until('the log has the answer', () => existsSync(log) && readFileSync(log).length > 0);
    await killHard(readRecord(storage).pid);
    await expect(sending).rejects.toThrow();
    server.onRequest = () => undefined;
    server.faults.http = null;

    const { phase, draft } = await one.call('getSession', { session: 's' });
    const { items } = await one.call('listMessages', { session: 's' });
    expect(phase).toBe('Idle');
    if (when === 'at once' && items.length === 0) {
      expect(draft).toBe(question);
      return;
    }
    expect(items).toMatchObject([
      { role: 'user', content: { text: question } },
      { role: 'assistant', cut: 'crashed', content: { text: heard } },
    ]);
    expect(draft).toBeNull();
    expect(existsSync(log)).toBe(false);

    const { notes } = await one.call('continueAnswer', { session: 's', maxTokens: 100 });
    expect(notes).toEqual([]);
    const [, whole] = (await one.call('listMessages', { session: 's' })).items;
    expect(whole).toMatchObject({ content: { text: expect.stringMatching(new RegExp(`^${heard}.+`)) } });
    expect(whole).not.toHaveProperty('cut');
  });
});
