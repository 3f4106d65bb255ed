import { describe, expect, test } from 'vitest';
import type { RouteOutput } from '../../src/protocol/api.ts';
import { historyLines, memoryPage } from '../../src/vscode/documents/memoryPage.ts';
import { pageHtml } from '../../src/vscode/documents/pageHtml.ts';
import { readMemory, type MemoryPart } from '../../src/vscode/documents/readMemory.ts';
import { memorySplit } from '../../src/vscode/render/memorySplit.ts';

type State = RouteOutput<'memoryState'>;
type Page = State['pages'][number];

const page = (sequence: number, changes: Partial<Page> = {}): Page => ({
  id: `p${sequence}-aaaa`,
  kind: 'transcript',
  modality: 'text',
  messageIds: [],
  sequence,
  represents: [],
  sizeBytes: 50,
  tokens: null,
  importance: 0.5,
  pinned: false,
  pinnedBy: null,
  tier: 'L0',
  accesses: 0,
  accessedAt: sequence,
  level: 0,
  hint: `[user] message ${sequence}`,
  ...changes,
});

const segment = {
  type: 'segment',
  id: 's1',
  from: 'm1',
  to: 'm2',
  firstSequence: 1,
  lastSequence: 2,
  summary: 'They chose heron.',
  summaryBy: 'engine',
  text: '<segment>They chose heron.</segment>',
  tokens: 100,
  replacedTokens: 2000,
  at: '2026-11-20T10:00:00.000Z',
} as const;

const aMemory = (changes: Partial<State> = {}): State =>
  ({
    enableVm: true,
    limit: 4000,
    used: 1500,
    segments: [segment],
    messages: 6,
    inPrompt: 4,
    ratio: 0.975,
    recomputed: 40,
    faults: 1,
    turns: [{ sequence: 2, sent: 1000, reused: 900, recomputed: 40 }],
    pages: [
      page(1, { tier: 'L2' }),
      page(2, { tier: 'L2' }),
      page(3, { pinned: true }),
      page(4, { tokens: 300, hint: '[assistant] Yes\u202e' }),
      page(5, { kind: 'artifact', tokens: 200 }),
      page(6),
    ],
    total: 6,
    hasMore: false,
    ...changes,
  }) as State;

const keysOf = (state: State): Record<string, string[]> =>
  Object.fromEntries(memoryPage('T', state).lists.map(({ key, items }) => [key, items.map((item) => item.key)]));

describe('the memory of a session as a page', () => {
  test('the bar has what the next prompt has by kind, with its numbers in words, and adds up to the limit', () => {
    const { bar } = memoryPage('T', aMemory());
    expect(bar.map(({ kind, tokens }) => [kind, tokens])).toEqual([
      ['summary', 100],
      ['message', 300],
      ['artifact', 200],
      ['other', 900],
      ['free', 2500],
    ]);
    expect(bar[0]?.label).toBe('1 summary: 100 tokens (3 %)');
    expect(bar.at(-1)?.label).toBe('Free: 2,500 tokens (63 %)');
  });

  test('a server that says less than the pages have, or nothing, makes no piece negative', () => {
    for (const used of [null, 10]) {
      const { bar } = memoryPage('T', aMemory({ used, limit: null }));
      expect(bar.reduce((sum, { tokens }) => sum + tokens, 0)).toBe(600);
      expect(bar.every(({ tokens }) => tokens > 0)).toBe(true);
    }
    expect(memoryPage('T', aMemory({ used: null, limit: null, segments: [], pages: [] })).bar).toEqual([]);
  });

  test('each page stands in one list, and those that left stand with the newest first', () => {
    expect(keysOf(aMemory())).toEqual({
      pinned: ['p3-aaaa'],
      prompt: ['p4-aaaa', 'p5-aaaa', 'p6-aaaa'],
      segments: ['s1'],
      evicted: ['p2-aaaa', 'p1-aaaa'],
    });
  });

  test('a page offers only what the backend does with it', () => {
    const pages = [page(1, { tier: 'L2' }), page(2, { tier: 'L2', pinned: true }), page(3), page(4, { pinned: true })];
    const items = memoryPage('T', aMemory({ pages })).lists.flatMap((list) => list.items);
    const actions = (key: string) => items.find((item) => item.key === key)?.actions.map(({ type }) => type);
    expect(actions('p1-aaaa')).toEqual(['fault']);
    expect(actions('p2-aaaa')).toEqual(['unpin', 'fault']);
    expect(actions('p3-aaaa')).toEqual(['pin']);
    expect(actions('p4-aaaa')).toEqual(['unpin']);
    expect(actions('s1')).toEqual([]);
  });

  test('names from elsewhere turn no row around', () => {
    expect(JSON.stringify(memoryPage('a\u202eb', aMemory()))).not.toContain('\u202e');
  });

  test('an answer reuses at most what was sent, and a server that says nothing is no zero in the table', () => {
    const turns = [
      { sequence: 2, sent: 100, reused: 120, recomputed: 5 },
      { sequence: 4, sent: 100, reused: null, recomputed: 0 },
    ];
    const [first, second] = memoryPage('T', aMemory({ turns })).answers;
    expect(first).toMatchObject({ sent: 100, reused: 100, recomputed: 0 });
    expect(second?.cells).toEqual(['100', 'the server did not say', '0']);
    expect(memoryPage('T', aMemory()).reuse).toBe(
      'Reused so far: 98 % of all tokens. Computed again because of memory: 40 tokens. Pages that came back: 1.',
    );
  });

  test('a session without virtual memory says how to turn it on, and nothing else', () => {
    const shown = memoryPage('T', aMemory({ enableVm: false }));
    expect(shown.empty).toContain('"Session Settings…"');
    expect([shown.bar, shown.lists, shown.answers, shown.facts]).toEqual([[], [], [], []]);
  });

  test('S1-55 it says whether searches go by meaning, with which model, and why not', () => {
    const search = {
      byMeaning: true,
      server: 'http://host:1',
      model: 'minilm',
      messages: 6,
      embedded: 4,
      why: null,
    };
    const said = (changes: Partial<State>): string | undefined => memoryPage('s', aMemory(changes)).facts[1];
    expect(said({ search })).toBe(
      'Searches go by words and by meaning (minilm at http://host:1): 4 of 6 messages have vectors.',
    );
    expect(said({ search: { ...search, embedded: 0 } })).toMatch(/made once something has left the prompt\.$/);
    expect(said({ search: { ...search, byMeaning: false, why: 'Nobody listens.' } })).toBe(
      'Searches go by words alone: Nobody listens.',
    );
    expect(said({})).toBeUndefined();
  });

  test('the split is one line', () => {
    expect(memorySplit(aMemory())).toBe(
      'Memory: 4 of 6 messages whole in 1,500 of 4,000 tokens; 2 left, 1 summary of 100 tokens in their place.',
    );
    expect(memorySplit(aMemory({ used: null, segments: [], inPrompt: 6 }))).toBe('Memory: 6 of 6 messages whole.');
  });

  test('S1-70 the history says when the prompt had a page, why it left, and who asked for it back', () => {
    const at = '2026-11-20T10:00:00.000Z';
    const event = { type: 'mutation', what: 'fault_in', page: 'p1', actor: 'model', sequence: 9, at } as const;
    const leftWith = { segment: 's1', at, why: 'To make room.' };
    expect(historyLines({ page: 'p1', inPrompt: { from: 2, to: 4 }, leftWith, events: [event], searches: [] })).toEqual(
      [
        'The prompts of the answers 2 to 4 had it whole.',
        'It left at 2026-11-20 10:00:00 UTC with s1. To make room.',
        '2026-11-20 10:00:00 UTC: the model brought it back.',
      ],
    );
  });
});

describe('reading a long memory', () => {
  const total = 5000;
  const why = 'Nobody listens.';
  const search = { byMeaning: false, server: null, model: null, messages: 0, embedded: 0, why };
  const asked: unknown[] = [];
  const call = async ({ limit, offset, ...more }: MemoryPart): Promise<State> => {
    asked.push(more.search);
    const here = Array.from({ length: Math.min(limit, total - offset) }, (_, at) => page(offset + at + 1));
    return aMemory({ pages: here, total, messages: total, inPrompt: 150, ...(more.search && { search }) });
  };

  test('lists what the prompt has and what left last, and more when the user asks', async () => {
    const state = await readMemory(call, 100);
    expect([state.pages.length, state.pages[0]?.id, state.pages.at(-1)?.id]).toEqual([250, 'p4751-aaaa', 'p5000-aaaa']);
    expect(memoryPage('T', state).earlier).toBe('Show Earlier Pages (4,750)');
    // A server of embeddings may be asked for that, so that it is read once.
    expect(state.search).toBe(search);
    expect(asked.filter((each) => each === true)).toHaveLength(1);
    expect((await readMemory(call, 200)).pages).toHaveLength(350);
    expect((await readMemory(call, 10_000)).pages).toHaveLength(total);
  });
});

test('the page runs its own script and style sheet, and nothing that is written into it', () => {
  const uri = (name: string) => ({ toString: () => `vscode-resource:/dist/${name}` });
  const html = pageHtml(
    { cspSource: 'vscode-resource:' } as never,
    uri('memory.js') as never,
    uri('memory.css') as never,
    'Memory',
  );
  expect(html).toContain(`default-src 'none'; script-src vscode-resource:; style-src vscode-resource:;`);
  expect(html).not.toMatch(/unsafe|nonce|<style| on\w+=/);
  expect(html).toContain('<title>Memory</title>');
  expect(Array.from(html.matchAll(/<script[^>]*>(.*?)<\/script>/g), ([, inline]) => inline)).toEqual(['']);
});
