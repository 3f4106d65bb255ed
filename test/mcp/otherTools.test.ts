import { expect, test } from 'vitest';
import type { RouteOutput } from '../../src/protocol/api.ts';
import { aSession } from '../vscode-unit/builders.ts';
import { FakeBackend } from './support/fakeBackend.ts';
import { openClient } from './support/openClient.ts';

const metrics = (changes: Partial<RouteOutput<'metrics'>> = {}): RouteOutput<'metrics'> => ({
  metrics: [
    { name: 'cwm_turns_total', help: '', type: 'counter', values: [{ name: 'cwm_turns_total', labels: {}, value: 4 }] },
    { name: 'cwm_sessions', help: '', type: 'gauge', values: [{ name: 'cwm_sessions', labels: {}, value: 2 }] },
  ],
  turns: { hits: 3, misses: 1, unknown: 0, hitRate: 0.75 },
  cache: {
    kv: { totalBlocks: 1, totalBytes: 1000 },
    engines: [
      { kind: 'embedded', connected: true, cachedTokens: 90, hitRate: 0.9 },
      { kind: 'vllm', connected: false, cachedTokens: null, hitRate: null },
    ],
  },
  space: null,
  alerts: [{ name: 'storage', what: 'disk', value: null, level: null, warningAt: 80, criticalAt: 95 }],
  ...changes,
});

test('S0-14 what the caches came to is null where it is not known, never 0', async () => {
  const client = await openClient({ era: 'modern', backend: new FakeBackend({ metrics: () => metrics() }) });
  const { structuredContent } = await client.call('cache_stats');
  expect(structuredContent).toMatchObject({
    kv_store: { total_blocks: 1, total_bytes: 1000, hit_rate: 0.75, hits: 3, misses: 1 },
    vllm: { connected: false, hit_rate: null, cached_tokens: null },
    space: null,
  });
});

test('S0-80 figures are found by a part of their name', async () => {
  const client = await openClient({ era: 'modern', backend: new FakeBackend({ metrics: () => metrics() }) });
  const { structuredContent } = await client.call('get_metrics_data', { name: 'turns' });
  expect(structuredContent).toEqual({
    metrics: [{ name: 'cwm_turns_total', labels: {}, value: 4, type: 'counter' }],
    alerts: [{ name: 'storage', what: 'disk', value: null, level: null }],
  });
});

test('S0-15 a check of health asks the parts now, and can be about one of them', async () => {
  const health = {
    status: 'degraded',
    uptimeSeconds: 5,
    version: '0.1.0',
    components: [
      { name: 'store', status: 'healthy', message: 'ok', latencyMs: 1 },
      { name: 'vllm http://x', status: 'unhealthy', message: 'gone', latencyMs: null },
    ],
  } as unknown as RouteOutput<'health'>;
  const backend = new FakeBackend({ health: () => health });
  const client = await openClient({ era: 'modern', backend });
  const { structuredContent } = await client.call('health_check', { component: 'vllm' });
  expect(structuredContent).toEqual({
    status: 'degraded',
    uptime_seconds: 5,
    version: '0.1.0',
    components: [{ name: 'vllm http://x', status: 'unhealthy', message: 'gone', latency_ms: null }],
  });
  expect(backend.calls).toEqual([{ name: 'health', input: { probe: true } }]);
});

const policy = {
  enabled: true,
  tokenThreshold: 0.5,
  tokenCountThreshold: 0,
  cooldownSeconds: 60,
  idleMinutes: 10,
  namePattern: 'auto-{session_id}',
  tags: ['auto-freeze'],
};

test.each(['all', 'read'] as const)(
  'S0-16 without a field the policy is only read, so that it is no change of the hour, and a client that may %s sees it',
  async (tools) => {
    const backend = new FakeBackend({ autoFreezePolicy: () => policy });
    const client = await openClient({ era: 'modern', backend, tools });
    const { structuredContent } = await client.call('auto_freeze_config', {});
    expect(structuredContent).toMatchObject({ token_threshold: 0.5, window_name_pattern: 'auto-{session_id}' });
    expect(await client.call('auto_freeze_config', { include_prompt: tools !== 'read' })).toMatchObject(
      tools === 'read' ? { isError: true } : {},
    );
    expect(backend.calls.every(({ name }) => name === 'autoFreezePolicy')).toBe(true);
  },
);

test('a client that may only read is refused a change of the policy', async () => {
  const backend = new FakeBackend({ autoFreezeConfig: () => policy });
  const client = await openClient({ era: 'modern', backend, tools: 'read' });
  const { isError, content } = await client.call('auto_freeze_config', { enabled: false });
  expect([isError, content[0]?.text]).toEqual([true, expect.stringContaining('CWM-8001')]);
  expect(backend.calls).toEqual([]);
});

test('S0-16 the policy of automatic checkpoints is shown, and changed where a field is given', async () => {
  const backend = new FakeBackend({ autoFreezeConfig: () => policy });
  const client = await openClient({ era: 'modern', backend });
  const { structuredContent } = await client.call('auto_freeze_config', { token_threshold: 0.5 });
  expect(structuredContent).toMatchObject({
    token_threshold: 0.5,
    idle_timeout_minutes: 10,
    window_name_pattern: 'auto-{session_id}',
    tags: ['auto-freeze'],
    include_prompt: true,
  });
  expect(backend.calls).toMatchObject([{ input: { tokenThreshold: 0.5, enabled: undefined } }]);
  await client.call('auto_freeze_config', { window_name_pattern: 'kept-{count}', tags: ['a'], include_prompt: true });
  expect(backend.calls.at(-1)).toMatchObject({ input: { namePattern: 'kept-{count}', tags: ['a'] } });
  expect(await client.call('auto_freeze_config', { token_threshold: 1.5 })).toMatchObject({ isError: true });
  const { content } = await client.call('auto_freeze_config', { include_prompt: false });
  expect(content[0]?.text).toContain('could not be loaded or proven');
  expect(backend.calls).toHaveLength(2);
});

test('a conversation is read in pages, and a very long message is cut and says so', async () => {
  const message = (text: string): object => ({
    id: 'm1',
    role: 'user',
    parentId: null,
    sequence: 1,
    content: { type: 'text', text },
    createdAt: '2026-11-20T10:00:00.000Z',
  });
  const backend = new FakeBackend({
    listMessages: () =>
      ({ items: [message('x'.repeat(5000)), message('hi')], total: 9, hasMore: true }) as RouteOutput<'listMessages'>,
  });
  const client = await openClient({ era: 'modern', backend });
  const { structuredContent } = await client.call('conversation_read', { session_id: 's', limit: 2 });
  const messages = structuredContent?.['messages'] as { text: string; cut: boolean }[];
  expect(messages.map(({ text, cut }) => [text.length, cut])).toEqual([
    [4000, true],
    [2, false],
  ]);
  expect(structuredContent).toMatchObject({ total: 9, next_cursor: 'at-2' });
});

test('a branch is made at a message, and the answer says which one is active', async () => {
  const backend = new FakeBackend({ createBranch: () => aSession({ activeBranch: 'branch-2' }) });
  const client = await openClient({ era: 'modern', backend });
  const { structuredContent } = await client.call('branch_create', { session_id: 's', at_message: 'm1' });
  expect(structuredContent).toMatchObject({ branch: 'branch-2' });
  expect(backend.calls).toMatchObject([{ input: { session: 's', at: 'm1' } }]);
});

test('S1-50 a page of a session comes in parts, and a search says by which id it is read', async () => {
  const text = 'The service is called heron.';
  const page = { id: 'p1-aaaa', kind: 'transcript', tier: 'L2' };
  const found = { page: 'p1-aaaa', session: 's', message: 'm', role: 'user', modality: 'text', createdAt: '', text };
  const backend = new FakeBackend({
    memoryPage: () => ({ page, text }) as unknown as RouteOutput<'memoryPage'>,
    searchPages: () => ({ items: [{ ...found, isCut: false }], total: 1 }) as unknown as RouteOutput<'searchPages'>,
  });
  const client = await openClient({ era: 'modern', backend });
  const { structuredContent: searched } = await client.call('search_pages', { session_id: 's', query: 'the name?' });
  expect(searched).toMatchObject({ results: [{ page_id: 'p1-aaaa', text, cut: false }] });
  const part = { session_id: 's', page_id: 'p1-aaaa', from_character: 4, max_characters: 7 };
  const { structuredContent: read } = await client.call('page_fault', part);
  expect(read).toMatchObject({ content: 'service', from_character: 4, next_character: 11, characters: text.length });
});

test('S1-22 an agent says what a page is worth, and a number that is none from 0 to 1 is refused before anything is asked', async () => {
  const backend = new FakeBackend({ weighPage: ({ page, importance }) => ({ page, importance: importance ?? 0.6 }) });
  const client = await openClient({ era: 'modern', backend });
  const weigh = (importance: unknown) =>
    client.call('page_importance', { session_id: 's', page_id: 'p1-aaaa', importance });
  expect((await weigh(0.95)).structuredContent).toEqual({ page_id: 'p1-aaaa', importance: 0.95 });
  expect((await weigh(null)).structuredContent).toEqual({ page_id: 'p1-aaaa', importance: 0.6 });
  for (const wrong of [1.1, -0.1, 'much', undefined]) expect((await weigh(wrong)).isError).toBe(true);
  expect(backend.calls.map(({ input }) => input)).toEqual(
    [0.95, null].map((importance) => ({ session: 's', page: 'p1-aaaa', importance })),
  );
});

test('S1-50 parts of a page that are put together are its text, characters of two units too', async () => {
  const text = 'a\u{1F980}b\u{1F980}\u{1F980}';
  const page = { id: 'p1-aaaa', kind: 'transcript', tier: 'L2' };
  const backend = new FakeBackend({ memoryPage: () => ({ page, text }) as unknown as RouteOutput<'memoryPage'> });
  const client = await openClient({ era: 'modern', backend });
  for (const max_characters of [1, 2, 3]) {
    let [whole, from]: [string, number | null] = ['', 0];
    while (from !== null) {
      const part = { session_id: 's', page_id: 'p1-aaaa', from_character: from, max_characters };
      const { structuredContent } = await client.call('page_fault', part);
      const read = structuredContent as { content: string; next_character: number | null };
      whole += read.content;
      from = read.next_character;
    }
    expect(whole).toBe(text);
  }
});
