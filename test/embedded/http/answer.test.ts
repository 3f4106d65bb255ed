import { describe, expect, it, vi } from 'vitest';
import { streamAnswer, type GeneratedAnswer } from '../../../src/embedded/http/answer.ts';
import { completionShape } from '../../../src/embedded/http/answerShape.ts';
import { ApiError } from '../../../src/embedded/http/apiError.ts';
import type { TextPiece } from '../../../src/embedded/http/generateText.ts';

const piece = (text: string): TextPiece => ({ text, id: 1, logprob: null, top: [], cachedTokens: 0, finish: null });

const answer = (pieces: AsyncGenerator<TextPiece, void, void>): GeneratedAnswer => ({
  shape: completionShape({ model: 'm', promptIds: [1], returnsIds: false }),
  promptTokens: 1,
  pieces,
  tokenTexts: null,
});

/** What stands behind `data: ` in each event. */
const dataOf = (text: string): string[] =>
  text.split('\n\n').flatMap((event) => /^data: (.*)$/s.exec(event)?.[1] ?? []);

describe('a streamed answer', () => {
  it.each([
    ['without its inner words, which the log has', new Error('secret path'), 500, 'The engine failed', 1],
    ['in the words that are meant for clients', new ApiError(503, 'The model is gone.'), 503, 'The model is gone.', 0],
  ])('that fails in the middle ends with an error event, %s', async (_, failure, code, message, logged) => {
    async function* pieces(): AsyncGenerator<TextPiece, void, void> {
      yield piece('so far');
      throw failure;
    }
    const log = vi.fn<(error: unknown) => void>();
    const response = streamAnswer(answer(pieces()), false, new AbortController(), log);
    const [first = '', error = '', ...rest] = dataOf(await response.text());
    expect(JSON.parse(first)).toMatchObject({ choices: [{ text: 'so far' }] });
    expect(JSON.parse(error)).toMatchObject({ error: { code, message: expect.stringContaining(message) } });
    expect(error).not.toContain('secret');
    expect(rest).toEqual(['[DONE]']);
    expect(log).toHaveBeenCalledTimes(logged);
  });

  it('stops its generation when the client leaves, and nothing is logged for that', async () => {
    const stop = new AbortController();
    const ended = Promise.withResolvers<void>();
    async function* pieces(): AsyncGenerator<TextPiece, void, void> {
      try {
        yield piece('so far');
        await new Promise((_, reject) => stop.signal.addEventListener('abort', () => reject(stop.signal.reason)));
      } finally {
        ended.resolve();
      }
    }
    const log = vi.fn<(error: unknown) => void>();
    const { body } = streamAnswer(answer(pieces()), false, stop, log);
    const reader = body?.getReader();
    await reader?.read();
    await reader?.cancel();
    await ended.promise;
    expect(stop.signal.aborted).toBe(true);
    expect(log).not.toHaveBeenCalled();
  });
});
