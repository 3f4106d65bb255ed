import { describe, expect, it } from 'vitest';
import { branchesTable, comparisonSentences } from '../../src/words/branches.ts';
import { sessionDeletedSentence, windowDeletedSentence } from '../../src/words/trash.ts';
import { engineOptions, nothingFound } from '../../src/words/discovery.ts';
import { leftOutSentence, primedSentence } from '../../src/words/prime.ts';
import { emptiedSentence, restoredSentence, trashTable } from '../../src/words/trash.ts';
import type { FoundFile, FoundServer } from '../../src/protocol/schemas/discovery.ts';
import { windowName } from '../support/ids.ts';

describe('branches', () => {
  const branch = {
    name: 'main',
    active: true,
    length: 12,
    tokens: 2048,
    sharedTokens: 0,
    sharedBlocks: null,
    sharedWith: null,
    systemPrompt: null,
  };

  it('say how much of their KV a sibling has, and nothing where none does', () => {
    const rows = branchesTable([
      branch,
      {
        ...branch,
        name: 'try',
        active: false,
        tokens: null,
        sharedTokens: 1600,
        sharedBlocks: 100,
        sharedWith: 'main',
      },
      { ...branch, name: 'other', active: false, sharedTokens: 1, sharedWith: 'main', systemPrompt: 'brief' },
    ] as unknown as Parameters<typeof branchesTable>[0]).rows;
    expect(rows).toEqual([
      ['*', 'main', '12', '2,048', '', ''],
      ['', 'try', '12', 'none yet', '1,600 tokens (100 KV blocks) with main', ''],
      ['', 'other', '12', '2,048', '1 token with main', 'brief'],
    ]);
  });

  it('are compared in three sentences', () => {
    const compared = {
      sharedMessages: 1,
      sharedTokens: 64,
      sharedBlocks: 4,
      one: { name: 'main', messages: ['m2', 'm3'] },
      other: { name: 'try', messages: [] },
    } as unknown as Parameters<typeof comparisonSentences>[0];
    expect(comparisonSentences(compared)).toEqual([
      'main and try share 1 message (64 tokens, 4 KV blocks).',
      'Only main has 2 messages: m2, m3.',
      'Only try has 0 messages: none.',
    ]);
    expect(comparisonSentences({ ...compared, sharedBlocks: null })[0]).toBe(
      'main and try share 1 message (64 tokens).',
    );
  });
});

describe('a deletion', () => {
  it('says what it freed, and what stays because other windows share it (S0-12)', () => {
    const deleted = { window: windowName('w'), blocksDeleted: 1, bytesFreed: 2_500_000, blocksKept: 0 };
    expect(windowDeletedSentence(deleted)).toBe('Deleted window w and 1 KV block. This freed 2.5 MB.');
    expect(windowDeletedSentence({ ...deleted, blocksKept: 3 })).toBe(
      'Deleted window w and 1 KV block. This freed 2.5 MB. 3 KV blocks stay, because other windows or automatic checkpoints need them.',
    );
  });

  it('of a session names its windows', () => {
    expect(sessionDeletedSentence('Auth', {})).toBe('Deleted session Auth.');
    expect(sessionDeletedSentence('Auth', { deletedWindows: [windowName('w1'), windowName('w2')] })).toBe(
      'Deleted session Auth and 2 windows: w1, w2.',
    );
    const unreached = [{ engine: 'http://h', why: 'It is gone.' }];
    expect(sessionDeletedSentence('Auth', { kvBytesFreed: 2e6, unreached })).toBe(
      'Deleted session Auth. This freed 2 MB of KV. http://h may have KV of it still: It is gone.',
    );
  });
});

describe('files for a context', () => {
  const primed = {
    files: [{ bytes: 1500 }, { bytes: 500 }],
    skipped: [],
    promptTokens: 700,
    cachedTokens: 640,
    ms: 46,
  } as unknown as Parameters<typeof primedSentence>[0];

  it('are told with what reading them cost, and what was reused where that is known', () => {
    expect(primedSentence(primed)).toBe(
      'Added 2 files (2 kB) to the context: 700 tokens, 640 of them reused, in 46 ms.',
    );
    expect(primedSentence({ ...primed, cachedTokens: null })).toBe(
      'Added 2 files (2 kB) to the context: 700 tokens, in 46 ms.',
    );
  });

  it('that were left out are counted', () => {
    expect(leftOutSentence(primed)).toBeNull();
    expect(leftOutSentence({ ...primed, skipped: [{}] } as unknown as typeof primed)).toBe('1 file was left out.');
    expect(leftOutSentence({ ...primed, skipped: [{}, {}] } as unknown as typeof primed)).toBe(
      '2 files were left out.',
    );
  });
});

describe('the trash', () => {
  it('shows what is in it, when it was deleted and when it goes', () => {
    const item = {
      id: 't1',
      kind: 'window',
      name: 'w',
      sizeBytes: 1000,
      deletedAt: '2026-11-28T10:00:00.000Z',
      expiresAt: '2026-12-05T10:00:00.000Z',
    } as unknown as Parameters<typeof trashTable>[0][number];
    const { head, rows } = trashTable([item], new Date('2026-11-29T10:00:00.000Z'));
    expect(rows[0]).toHaveLength(head.length);
    expect(rows[0]?.slice(0, 5)).toEqual(['t1', 'window', 'w', '1 kB', '1 d ago']);
  });

  it('tells what was restored and what is gone', () => {
    expect(restoredSentence({ kind: 'window', name: 'w' } as never)).toBe('Restored window w from the trash.');
    expect(emptiedSentence({ items: [{}], bytesFreed: 1000 } as never)).toBe(
      'Removed 1 item for good. This freed 1 kB.',
    );
  });
});

describe('the choice of a model server', () => {
  const server = (changes: Partial<FoundServer>): FoundServer => ({
    spec: 'http://localhost:8000',
    product: 'vLLM',
    kind: 'vllm',
    version: '0.32.0',
    models: [{ id: 'qwen', use: 'chat' }],
    wantsKey: false,
    ...changes,
  });
  const file = (changes: Partial<FoundFile>): FoundFile => ({
    spec: 'embedded:/m.gguf',
    source: 'LM Studio',
    name: 'Gemma',
    sizeBytes: 2e9,
    quantisation: 'Q4',
    fits: true,
    ...changes,
  });
  const choices = (servers: readonly FoundServer[], files: readonly FoundFile[], defaultEngine = 'embedded') =>
    engineOptions({ servers: [...servers], files: [...files], defaultEngine });

  it('begins with servers that answer; then files, those that fit first; then what works without either', () => {
    const options = choices([server({})], [file({ name: 'Large', fits: false }), file({ quantisation: null })]);
    expect(options.map(({ label }) => label)).toEqual(['vLLM 0.32.0', 'Gemma', 'Large', 'Generated model']);
    expect(options.map(({ detail }) => detail.slice(0, 12))).toEqual([
      'Reuse is mea',
      'Fits into th',
      'Probably too',
      'To try freez',
    ]);
    expect(options[1]?.description).toBe('2 GB · LM Studio');
    expect(options[2]?.description).toBe('2 GB · Q4 · LM Studio');
  });

  it('names the one in use, at most three models, and no model of another kind', () => {
    const models = ['a', 'b', 'c', 'd', 'e'].map((id) => ({ id, use: id === 'e' ? 'other' : 'chat' }));
    const [option] = choices([server({ models } as Partial<FoundServer>)], [], 'http://localhost:8000');
    expect(option?.description).toBe('a, b, c and 1 more · http://localhost:8000 · in use for new sessions');
  });

  it('says what is not known: a version, a kind, the models behind an API key', () => {
    const [silent, locked] = choices(
      [server({ kind: null, version: 'unknown', models: [] }), server({ version: null, wantsKey: true })],
      [],
    );
    expect(silent).toMatchObject({
      label: 'vLLM',
      description: 'http://localhost:8000',
      detail: 'It did not say what it is.',
    });
    expect(locked).toMatchObject({ description: 'http://localhost:8000', detail: 'It wants an API key.' });
  });

  it('says that this machine has nothing to offer', () => {
    expect(nothingFound({ servers: [], files: [] })).toMatch(/^No model server answers on this machine/);
    expect(nothingFound({ servers: [server({})], files: [] })).toBeNull();
  });
});
