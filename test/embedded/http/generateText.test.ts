import { describe, expect, it } from 'vitest';
import type { EmbeddedEngine, GenerationEvent } from '../../../src/embedded/engine.ts';
import { EngineCounters } from '../../../src/embedded/engineCounters.ts';
import { generateText, type TextPiece, type TextRequest } from '../../../src/embedded/http/generateText.ts';

const asked: TextRequest = {
  promptIds: [1],
  salt: null,
  maxTokens: 100,
  sampling: { temperature: 0, topP: 1, seed: 0 },
  topLogprobs: null,
  schema: null,
  endIds: new Set(),
  stopStrings: [],
};

/** The answer of an engine that says these characters, one a token, and then fails. */
async function answerOf(said: string, request: Partial<TextRequest>, failure: Error | null = null, signal = never()) {
  const counters = new EngineCounters();
  async function* generate(): AsyncGenerator<GenerationEvent> {
    yield { type: 'prompt', cachedTokens: 0 };
    for (const character of said)
      yield { type: 'token', id: character.codePointAt(0) ?? 0, logprob: null, top: [], isEnd: false };
    if (failure) throw failure;
  }
  const engine = { counters, generate } as unknown as EmbeddedEngine;
  const detokenize = async (lists: readonly (readonly number[])[]) => lists.map((ids) => String.fromCodePoint(...ids));
  const pieces: TextPiece[] = [];
  const error = await (async () => {
    for await (const piece of generateText(engine, detokenize, { ...asked, ...request }, new Set(), signal))
      pieces.push(piece);
    return null;
  })().catch((thrown: unknown) => thrown);
  const text = pieces.map((piece) => piece.text).join('');
  return { text, finish: pieces.at(-1)?.finish ?? null, finished: counters.finishedRequests, error };
}

const never = (): AbortSignal => new AbortController().signal;

describe('the text of an answer', () => {
  it.each([
    ['an object', '{"a":{"b":[1]}}'],
    ['a list', '[{"a":1},{"a":2}]'],
    ['a text with brackets in it', '{"a":"}]"}'],
  ])('under a schema ends with %s, without the white space that a grammar allows behind it', async (_, whole) => {
    const { text, finish, finished } = await answerOf(`${whole} \n \n`, { schema: { type: 'object' } });
    expect(text).toBe(whole);
    expect(finish).toEqual({ reason: 'stop', stopReason: null });
    expect(finished).toEqual({ stop: 1, length: 0, abort: 0, error: 0 });
  });

  it('without a schema goes on behind a bracket', async () => {
    const { text, finish } = await answerOf('{} and more', { maxTokens: 6 });
    expect([text, finish?.reason]).toEqual(['{} and', 'length']);
  });

  it('counts once as failed where the engine fails, and once as aborted where its client left', async () => {
    const failure = new Error('llama.cpp is gone');
    expect(await answerOf('so far', {}, failure)).toMatchObject({
      text: 'so far',
      error: failure,
      finished: { stop: 0, length: 0, abort: 0, error: 1 },
    });
    const left = AbortSignal.abort(failure);
    expect(await answerOf('so far', {}, failure, left)).toMatchObject({
      error: failure,
      finished: { stop: 0, length: 0, abort: 1, error: 0 },
    });
  });
});
