import { describe, expect, test } from 'vitest';
import { choiceNotices, pickModel, useOf } from '../../../src/engines/vllm/models.ts';
import { modelsSchema } from '../../../src/engines/vllm/wire.ts';

const listed = (...ids: string[]) => ids.map((id) => ({ id }));
const any = { wanted: undefined, before: undefined };

describe('K4 one of several models', () => {
  test('models that embed, rank, speak or draw are told apart by their name or by what the server says', () => {
    for (const id of [
      'text-embedding-nomic-embed-text-v1.5',
      'mxbai-embed-large:latest',
      'BAAI/bge-m3',
      'intfloat/e5-large',
      'all-minilm',
      'jina-reranker-v2',
      'whisper-large-v3',
      'tts-1',
    ])
      expect(useOf({ id }), id).toBe('other');
    for (const id of ['stub-chat', 'Qwen/Qwen3-8B', 'gemma3:270m', 'mistral-clipped'])
      expect(useOf({ id }), id).not.toBe('other');
    expect(useOf({ id: 'm', type: 'embeddings' })).toBe('other');
    expect(useOf({ id: 'm', capabilities: { completion_chat: false } })).toBe('other');
  });

  test('the first that one can talk to is used, and stays in use while the list changes its order', () => {
    const entries = listed('text-embed-small', 'stub-chat', 'other-chat');
    expect(pickModel(entries, any, 'here').id).toBe('stub-chat');
    expect(pickModel(entries.toReversed(), { ...any, before: 'stub-chat' }, 'here').id).toBe('stub-chat');
    expect(choiceNotices(entries, { id: 'stub-chat' }, any)).toEqual([expect.stringContaining('"other-chat"')]);
    expect(choiceNotices(entries, { id: 'stub-chat' }, { ...any, wanted: 'stub-chat' })).toEqual([]);
    expect(choiceNotices(listed('a', 'a-embed'), { id: 'a' }, any)).toEqual([]);
  });

  test('the one that was chosen is used, also with the tag that Ollama adds and where the server lists families or nothing', () => {
    const choice = { ...any, wanted: 'b' };
    expect(pickModel(listed('a', 'b'), choice, 'here').id).toBe('b');
    expect(pickModel(listed('a', 'b:latest'), choice, 'here').id).toBe('b:latest');
    expect(pickModel(listed('openai/*'), choice, 'here').id).toBe('b');
    expect(pickModel([], choice, 'here').id).toBe('b');
    expect(() => pickModel(listed('a', 'c'), choice, 'here')).toThrow(
      /does not serve the model "b" \(it serves "a", "c"\)/,
    );
    expect(() => pickModel([], any, 'here')).toThrow(/lists no model/);
  });

  test('K2 lists come in several forms, and odd fields are not told', () => {
    const data = [{ id: 'm', max_model_len: 8192 }];
    for (const list of [{ data }, { object: 'list', data }, { models: data }, data])
      expect(modelsSchema.parse(list).data).toMatchObject(data);
    for (const list of [{ object: 'list', data: null }, { object: 'list' }, []])
      expect(modelsSchema.parse(list)).toEqual({ data: [] });
    for (const list of [
      { models: [{ name: 'm' }] },
      { models: [{ model: 'm' }] },
      { data: [{ object: 'model' }, 7, { id: 'm' }] },
    ])
      expect(modelsSchema.parse(list).data.map(({ id }) => id)).toEqual(['m']);
    for (const list of [{ data: [7, {}] }, { data: [{ name: 'm' }] }, [{}], { models: ['m'] }, 'm'])
      expect(modelsSchema.safeParse(list).success, JSON.stringify(list)).toBe(false);
    const lengthOf = (length: unknown) =>
      modelsSchema.parse({ data: [{ id: 'm', max_model_len: length }] }).data[0]?.max_model_len;
    expect([lengthOf('8192'), lengthOf(-1), lengthOf('long'), lengthOf(null)]).toEqual([
      8192,
      undefined,
      undefined,
      null,
    ]);
  });
});
