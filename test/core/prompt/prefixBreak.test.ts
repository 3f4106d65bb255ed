import { describe, expect, it } from 'vitest';
import { TokenList } from '../../../src/base/tokenIds.ts';
import { findPrefixBreak } from '../../../src/core/prompt/prefixBreak.ts';
import { CwmError } from '../../../src/protocol/errors.ts';
import type { Message } from '../../../src/protocol/schemas/session.ts';
import { messageId } from '../../support/ids.ts';
import { FakeEngine } from '../fakeEngine.ts';

const messages = ['one', 'two', 'three'].map((text, index): Message => ({
  id: messageId(`m${index}`),
  role: index === 1 ? 'assistant' : 'user',
  parentId: null,
  sequence: index + 1,
  content: { type: 'text', text },
  createdAt: '2026-11-20T10:00:00.000Z',
}));
const beforeTokens = { count: 4, promptCount: 3, sha256: 'x', source: 'engine', messageCount: 2 } as const;
const broken = { system: null, before: TokenList.of([1, 2, 3, 4]), beforeTokens, prompt: [1, 9, 3, 4, 5], messages };
const { signal } = new AbortController();

/** @param error of each request for token ids. */
function engineWithout(error: Error): FakeEngine {
  const engine = new FakeEngine();
  engine.tokenize = async () => {
    throw error;
  };
  return engine;
}

describe('a prompt that leaves the stored tokens', () => {
  it('is none where it begins with them', async () => {
    expect(await findPrefixBreak({ ...broken, prompt: [1, 2, 3, 4, 5] }, new FakeEngine(), signal)).toBeNull();
  });

  it('is counted also where the server cannot tokenize; only the message stays unknown', async () => {
    const engine = engineWithout(new CwmError('EngineFailed', 'This server has no tokenizer.'));
    expect(await findPrefixBreak(broken, engine, signal)).toMatchObject({
      atToken: 1,
      lostTokens: 3,
      messageSequence: null,
    });
  });

  it('hides no fault of the program itself', async () => {
    const engine = engineWithout(new TypeError('a bug'));
    await expect(findPrefixBreak(broken, engine, signal)).rejects.toThrow('a bug');
  });
});
