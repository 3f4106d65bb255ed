import { describe, expect, it } from 'vitest';
import { prefixCost } from '../../../src/core/prompt/prefixCost.ts';
import { CwmError } from '../../../src/protocol/errors.ts';
import type { Message } from '../../../src/protocol/schemas/session.ts';
import { messageId } from '../../support/ids.ts';
import { FakeEngine } from '../fakeEngine.ts';

const signal = new AbortController().signal;
const question: Message = {
  id: messageId('m1'),
  role: 'user',
  parentId: null,
  sequence: 1,
  content: { type: 'text', text: 'What is a prefix cache?' },
  createdAt: '2026-11-20T10:00:00.000Z',
};
const next = { system: null, messages: [question] };
const idsOf = (engine: FakeEngine): Promise<number[]> =>
  engine.tokenize([{ role: 'user', content: 'What is a prefix cache?' }], false, signal);

/** @param error of each request for token ids. */
function engineWithout(error: Error): FakeEngine {
  const engine = new FakeEngine();
  engine.tokenize = async () => {
    throw error;
  };
  return engine;
}

describe('the cost of another beginning', () => {
  it('is the tokens behind the last whole KV block that both have', async () => {
    const engine = new FakeEngine();
    const ids = [...(await idsOf(engine)).slice(0, 11), 900, 901, 902];
    // Blocks of four tokens.
    expect(await prefixCost(engine, ids, next, signal)).toEqual({ keptTokens: 8, lostTokens: 6 });
  });

  it('is nothing behind the whole blocks where nothing changes, and everything behind another first token', async () => {
    const engine = new FakeEngine();
    const ids = (await idsOf(engine)).slice(0, 24);
    expect(await prefixCost(engine, ids, next, signal)).toEqual({ keptTokens: 24, lostTokens: 0 });
    expect(await prefixCost(engine, [900, ...ids], next, signal)).toEqual({ keptTokens: 0, lostTokens: 25 });
  });

  it('is all tokens where the model server cannot count', async () => {
    const engine = engineWithout(new CwmError('EngineFailed', 'This server has no tokenizer.'));
    expect(await prefixCost(engine, [1, 2, 3], next, signal)).toEqual({ keptTokens: 0, lostTokens: 3 });
  });

  it('is no answer to a request that was cancelled, and hides no fault of the program itself', async () => {
    await expect(prefixCost(engineWithout(new TypeError('a bug')), [1], next, signal)).rejects.toThrow('a bug');
    const cancelled = AbortSignal.abort(new CwmError('Cancelled', 'Enough.'));
    await expect(prefixCost(new FakeEngine(), [1], next, cancelled)).rejects.toThrow('Enough.');
  });
});
