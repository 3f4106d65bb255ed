import { describe, expect, it } from 'vitest';
import { ApiError } from '../../../src/embedded/http/apiError.ts';
import {
  completionRequestSchema,
  parseRequest,
  refuseUnsupported,
  schemaOf,
} from '../../../src/embedded/http/requests.ts';
import { textRequest } from '../../../src/embedded/http/textRequest.ts';
import { aModel } from '../support/aModel.ts';

const refusal = (task: () => unknown): string => {
  try {
    task();
    return 'nothing';
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return `${error.status} ${error.message}`;
  }
};

describe('a request to the embedded engine', () => {
  it.each([
    ['no object', 5, '400 The request is not valid: '],
    ['a wrong field', { prompt: 'a', temperature: -1 }, '400 The request is not valid at "temperature": '],
  ])('of %s is refused with the name of the field', (_, body, said) =>
    expect(refusal(() => parseRequest(completionRequestSchema, body))).toContain(said),
  );

  it.each([
    ['n', { n: 2 }, '`n` other than 1'],
    ['echo', { echo: true }, '`echo`'],
    ['log-probabilities of the prompt', { prompt_logprobs: 1 }, '`prompt_logprobs`'],
    ['a cut prompt', { truncate_prompt_tokens: 5 }, '`truncate_prompt_tokens`'],
    ['a suffix', { suffix: 'x' }, '`suffix`'],
    ['another form of answer', { response_format: { type: 'grammar' } }, '`response_format` of type "grammar"'],
    ['an empty salt', { cache_salt: '' }, "'cache_salt' must be a non-empty string"],
    ['stream options without a stream', { stream_options: { include_usage: true } }, 'Stream options'],
  ])('that asks for what the engine lacks (%s) is refused, not answered without it', (_, more, said) =>
    expect(refusal(() => refuseUnsupported(more))).toContain(said),
  );

  it('passes with what the engine has', () => {
    expect(refusal(() => refuseUnsupported({ n: 1, stream: true, stream_options: {}, cache_salt: 's' }))).toBe(
      'nothing',
    );
    expect(schemaOf({ response_format: { type: 'json_object' } })).toEqual({ type: 'object' });
    expect(schemaOf({ response_format: { type: 'json_schema', json_schema: { schema: { type: 'array' } } } })).toEqual({
      type: 'array',
    });
    expect(schemaOf({ response_format: { type: 'text' } })).toBeNull();
  });

  it.each([
    ['an empty prompt', [], {}, 1, null, 'The prompt is empty.'],
    ['an unknown id', [999_999], {}, 1, null, 'out of vocabulary'],
    ['no answer', [1], {}, 0, null, 'max_tokens must be at least 1'],
    ['too long an answer', [1], {}, 999_999, null, 'maximum context length'],
    ['too many log-probabilities', [1], {}, 1, 21, 'more than the 20 allowed'],
    ['log-probabilities of a schema', [1], { response_format: { type: 'json_object' } }, 1, 1, 'no logprobs'],
  ])('for %s is refused in words', (_, promptIds, fields, maxTokens, topLogprobs, said) =>
    expect(
      refusal(() => textRequest({ info: aModel() } as never, fields, { promptIds, maxTokens, topLogprobs })),
    ).toContain(said),
  );
});
