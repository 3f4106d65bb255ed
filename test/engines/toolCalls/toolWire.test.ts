import { describe, expect, test } from 'vitest';
import { StreamedCalls, wireTools } from '../../../src/engines/toolCalls/toolWire.ts';

const call = (index: number | undefined, id: string | undefined, name: string | undefined, given: unknown) => ({
  index,
  id,
  type: 'function',
  function: { name, arguments: given },
});

/** What is shown of the calls of an answer that comes in these pieces, and the calls. */
function streamed(pieces: readonly unknown[]) {
  const calls = new StreamedCalls();
  const shown = pieces.map((piece) => calls.push(piece)).join('');
  return { shown, calls: calls.calls };
}

describe('tool calls of a streamed answer', () => {
  test('come in pieces, several calls beside each other, and are shown in the order in which they arrive', () => {
    const { shown, calls } = streamed([
      [call(0, 'a', 'read', '')],
      [call(0, undefined, undefined, '{"path":')],
      [call(0, undefined, undefined, '"x"}')],
      [call(1, 'b', 'list', '{}')],
    ]);
    expect(calls).toEqual([
      { id: 'a', name: 'read', arguments: '{"path":"x"}' },
      { id: 'b', name: 'list', arguments: '{}' },
    ]);
    expect(shown).toBe('read {"path":"x"}\nlist {}');
  });

  test('of a server that numbers none are told apart by their ids, or by their place in the piece', () => {
    const unnumbered = streamed([
      [call(undefined, 'a', 'read', '{}')],
      [call(undefined, 'b', 'list', '{')],
      [call(undefined, 'b', undefined, '}')],
    ]);
    expect(unnumbered.calls.map(({ id, arguments: given }) => [id, given])).toEqual([
      ['a', '{}'],
      ['b', '{}'],
    ]);
    const nameless = streamed([[call(undefined, '', 'read', '{}'), call(undefined, undefined, 'list', '{}')]]);
    expect(nameless.calls.map(({ name }) => name)).toEqual(['read', 'list']);
  });

  test('K2 whose arguments are no text are read, and whose name is repeated is named once', () => {
    const { calls } = streamed([[call(0, 'a', 'read', { path: 'x' })], [call(0, 'a', 'read', null)]]);
    expect(calls).toEqual([{ id: 'a', name: 'read', arguments: '{"path":"x"}' }]);
  });

  test.each([null, 'read', {}, [], [null], [7], [{ index: 0 }]])('K2 are none in %j', (value) => {
    expect(streamed([value])).toEqual({ shown: '', calls: [] });
  });
});

test('a request names tools only where there are some: servers refuse an empty list', () => {
  expect(wireTools(undefined)).toEqual({});
  expect(wireTools([])).toEqual({});
  const inputSchema = { type: 'object', properties: {} } as const;
  expect(wireTools([{ name: 'read', description: 'Reads.', inputSchema }])).toEqual({
    tools: [
      {
        type: 'function',
        function: { name: 'read', description: 'Reads.', parameters: { ...inputSchema, additionalProperties: false } },
      },
    ],
  });
});
