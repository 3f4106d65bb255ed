import { describe, expect, test } from 'vitest';
import { agentTools } from '../../src/agent/agentTools.ts';
import { CwmError } from '../../src/protocol/errors.ts';
import type { RouteOutput } from '../../src/protocol/api.ts';
import { aReceipt } from '../support/aReceipt.ts';
import { aSession, aWindow } from '../vscode-unit/builders.ts';
import { FakeBackend } from './support/fakeBackend.ts';
import { eras, type ToolResult } from './support/mcpClient.ts';
import { connect, openClient } from './support/openClient.ts';

const details = (name = 'auth-refactor-1'): RouteOutput<'getWindow'> =>
  ({
    manifest: { name, createdAt: '2026-11-20T10:00:00.000Z' },
    kv: { blockTokens: 16, engineKind: 'vllm' },
    summary: aWindow({ name }),
    lineageWindows: ['root', name],
    receipts: [aReceipt()],
  }) as unknown as RouteOutput<'getWindow'>;

const code = ({ _meta: meta }: ToolResult): string | undefined => meta?.['context-window-manager/error']?.code;

describe.each(eras)('the tools in the %s form of the protocol', (era) => {
  test('V8 S0-01 each has a title, annotations, and schemas of what goes in and comes out', async () => {
    const client = await openClient({ era, backend: new FakeBackend({}) });
    const { result } = await client.request('tools/list');
    const tools = result?.['tools'] as { name: string; title: string; inputSchema: object; outputSchema: object }[];
    expect(tools.map(({ name }) => name)).toEqual(Object.keys(agentTools));
    for (const tool of tools) {
      expect(tool).toMatchObject({
        title: expect.stringMatching(/^[A-Z]/),
        annotations: { readOnlyHint: expect.any(Boolean), destructiveHint: tool.name === 'window_delete' },
        inputSchema: { type: 'object' },
        outputSchema: { type: 'object' },
      });
      // Clients put the name of the server before it.
      expect(tool.name.length).toBeLessThan(40);
    }
  });

  test('S0-02 a freeze answers with its window, in structure and as the same text', async () => {
    const { manifest, ...rest } = details();
    const sha256 = 'ab'.repeat(32);
    const getWindow = () => ({
      ...rest,
      manifest: { ...manifest, tokens: { ...manifest.tokens, sha256 } },
      saltHash: '0123456789abcdef',
    });
    const freeze = () => aReceipt({ operation: 'freeze', verdict: null });
    const backend = new FakeBackend({ freeze, getWindow });
    const client = await openClient({ era, backend });
    const result = await client.call('window_freeze', { session_id: 'session-1', window_name: 'w', tags: ['a'] });
    expect(result.structuredContent).toMatchObject({
      success: true,
      window_name: 'auth-refactor-1',
      block_count: 512,
      total_size_bytes: 12_600_000,
      token_count: 8192,
      storage_tier: 'disk',
      prompt_hash: sha256,
      cache_salt: '0123456789abcdef',
    });
    expect(JSON.parse(result.content[0]?.text ?? '')).toEqual(result.structuredContent);
    expect(backend.calls).toMatchObject([
      { name: 'freeze', input: { session: 'session-1', window: 'w', tags: ['a'] } },
      { name: 'getWindow', input: { window: 'auth-refactor-1' } },
    ]);
    const alone = await openClient({ era, backend: new FakeBackend({ freeze }) });
    const unread = await alone.call('window_freeze', { session_id: 'session-1', window_name: 'w' });
    expect(unread.structuredContent).toMatchObject({ success: true, prompt_hash: null, cache_salt: null });
  });

  test('S0-05 a thaw says what was reused, and reports its steps to a client that asks for them', async () => {
    const backend = new FakeBackend({
      thaw: async (_input, { onProgress }) => {
        onProgress?.('Loading 511 blocks');
        onProgress?.('Measuring');
        return aReceipt();
      },
    });
    const client = await openClient({ era, backend });
    const result = await client.call('window_thaw', { window_name: 'w' }, { _meta: { progressToken: 'p1' } });
    expect(result.structuredContent).toMatchObject({
      verdict: 'proven',
      cache_hit: true,
      blocks_expected: 511,
      blocks_found: 511,
      model_compatible: true,
      restoration_time_ms: 120,
    });
    expect(client.notifications.map(({ params }) => [params?.['progress'], params?.['message']])).toEqual([
      [1, 'Loading 511 blocks'],
      [2, 'Measuring'],
    ]);
  });

  test('a client that cancels a thaw aborts it in the backend', async () => {
    const aborted = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const backend = new FakeBackend({
      thaw: (_input, { signal }) => {
        begun.resolve();
        return new Promise((_, reject) =>
          signal?.addEventListener('abort', () => {
            aborted.resolve();
            reject(new CwmError('Cancelled', 'The operation was cancelled.'));
          }),
        );
      },
    });
    const client = await openClient({ era, backend });
    void client.call('window_thaw', { window_name: 'w' });
    await begun.promise;
    client.notify('notifications/cancelled', { requestId: client.lastId });
    await aborted.promise;
  });

  test('S0-71 a failure is a result with our sentence, code and hint', async () => {
    const backend = new FakeBackend({
      thaw: () => Promise.reject(new CwmError('WindowNotFound', 'There is no window "w".')),
    });
    const client = await openClient({ era, backend });
    const result = await client.call('window_thaw', { window_name: 'w' });
    expect(result.isError).toBe(true);
    expect(result.content[0]?.text).toBe(
      'There is no window "w". (CWM-2002) List the windows ("cwm list") to see which exist.',
    );
    expect(code(result)).toBe('CWM-2002');
  });

  test.each([
    ['window_status', {}, 'Name either a session or a window'],
    ['window_status', { session_id: 's', window_name: 'w' }, 'Name either a session or a window'],
    ['session_list', { state_filter: 'lost' }, '"state_filter"'],
    ['window_freeze', { window_name: 'w' }, '"session_id"'],
    ['window_list', { limit: 101 }, '"limit"'],
    ['window_list', { cursor: '../..' }, 'is no cursor'],
  ])('S0-10 S0-13 %s refuses %j with CWM-1003', async (tool, args, words) => {
    const backend = new FakeBackend({});
    const client = await openClient({ era, backend });
    const result = await client.call(tool, args);
    expect(code(result)).toBe('CWM-1003');
    expect(result.content[0]?.text).toContain(words);
    expect(backend.calls).toEqual([]);
  });

  test('S0-09 a long list has a cursor, which leads to its end', async () => {
    const backend = new FakeBackend({
      listWindows: ({ offset = 0, limit = 0 }) => ({
        items: [aWindow({ name: `w${offset}` }), aWindow({ name: `w${Number(offset) + 1}` })].slice(
          0,
          5 - Number(offset),
        ),
        total: 5,
        hasMore: Number(offset) + Number(limit) < 5,
      }),
    });
    const client = await openClient({ era, backend });
    const seen: string[] = [];
    const pages: unknown[] = [];
    let cursor: string | undefined;
    do {
      const { structuredContent } = await client.call('window_list', {
        limit: 2,
        ...(cursor !== undefined && { cursor }),
      });
      seen.push(...((structuredContent?.['windows'] ?? []) as { name: string }[]).map(({ name }) => name));
      pages.push([structuredContent?.['page'], structuredContent?.['total_pages']]);
      cursor = (structuredContent?.['next_cursor'] as string | null) ?? undefined;
    } while (cursor !== undefined);
    expect(seen).toEqual(['w0', 'w1', 'w2', 'w3', 'w4']);
    expect(pages).toEqual([
      [1, 3],
      [2, 3],
      [3, 3],
    ]);
  });

  test('S0-10 the status of a session names the window that froze it', async () => {
    const backend = new FakeBackend({
      getSession: () => aSession({ lifecycle: 'frozen', frozenAs: 'auth-refactor-1' }),
      getWindow: () => details(),
    });
    const client = await openClient({ era, backend });
    const { structuredContent } = await client.call('window_status', { session_id: 'session-1' });
    expect(structuredContent).toMatchObject({
      type: 'session',
      state: 'frozen',
      token_count: 8192,
      kv_cache: { total_size_bytes: 12_600_000, block_count: 512 },
      blocks: null,
      cache_stats: null,
      timestamps: { frozen: '2026-11-20T10:00:00.000Z' },
    });
  });

  test('S0-10 the status of a window has its KV, its lineage and its last receipt', async () => {
    const client = await openClient({ era, backend: new FakeBackend({ getWindow: () => details() }) });
    const { structuredContent } = await client.call('window_status', { window_name: 'auth-refactor-1' });
    expect(structuredContent).toMatchObject({
      type: 'window',
      id: 'auth-refactor-1',
      lineage: ['root', 'auth-refactor-1'],
      last_receipt: { verdict: 'proven' },
    });
  });

  test.each([{ window_name: 'auth-refactor-1' }, { session_id: 'session-1' }])(
    'S0-10 the status of %j has its blocks and what was reused where that is asked for',
    async (named) => {
      const blocks = Array.from({ length: 1001 }, (_, at) => ({ hash: `${at}`, sizeBytes: 9, checksum: 'c' }));
      const backend = new FakeBackend({
        getSession: () => aSession({ lifecycle: 'frozen', frozenAs: 'auth-refactor-1' }),
        getWindow: ({ blocks: areWanted }) => ({ ...details(), ...(areWanted === true && { blocks }) }),
        metrics: () =>
          ({
            cache: { engines: [{ kind: 'vllm', connected: true, cachedTokens: 70, hitRate: 0.7 }] },
          }) as unknown as RouteOutput<'metrics'>,
      });
      const client = await openClient({ era, backend });
      const plain = await client.call('window_status', named);
      expect(plain.structuredContent).toMatchObject({ blocks: null, cache_stats: null });
      const { structuredContent } = await client.call('window_status', {
        ...named,
        include_blocks: true,
        include_cache_stats: true,
      });
      const { reuse } = aWindow();
      expect(structuredContent).toMatchObject({
        cache_stats: {
          thaws: reuse.thaws,
          cached_tokens: reuse.cachedTokens,
          model_server: { kind: 'vllm', connected: true, hit_rate: 0.7, cached_tokens: 70 },
        },
      });
      const shown = structuredContent?.['blocks'] as object[];
      expect(shown).toHaveLength(1000);
      expect(shown[0]).toEqual({ hash: '0', size_bytes: 9, checksum: 'c' });
    },
  );

  test('S0-11 a clone names its lineage, root first', async () => {
    const backend = new FakeBackend({
      clone: () => aReceipt({ operation: 'clone', window: 'copy', kvBytesWritten: 0 }),
      getWindow: () => details('copy'),
    });
    const client = await openClient({ era, backend });
    const { structuredContent } = await client.call('window_clone', { source_window: 'w', target_window: 'copy' });
    expect(structuredContent).toMatchObject({ target_window: 'copy', bytes_written: 0, lineage: ['root', 'copy'] });
  });
});

describe.each(eras)('a delete in the %s form of the protocol', (era) => {
  const deleting = (): FakeBackend =>
    new FakeBackend({
      getWindow: () => details(),
      deleteWindow: () => ({ window: 'auth-refactor-1', blocksDeleted: 3, bytesFreed: 9, blocksKept: 1 }) as never,
    });
  const wasDeleted = (backend: FakeBackend): boolean => backend.calls.some(({ name }) => name === 'deleteWindow');
  const answers = { accept: { action: 'accept', content: { delete: true } }, decline: { action: 'decline' } };

  /** One call, with the person's answer in the way of this form. */
  async function callAndAnswer(backend: FakeBackend, answer: object): Promise<{ asked: unknown; result: ToolResult }> {
    let asked: unknown;
    const args = { window_name: 'auth-refactor-1' };
    const client = await openClient({
      era,
      backend,
      capabilities: { elicitation: {} },
      onAsked: (_method, { message }) => {
        asked = message;
        return answer;
      },
    });
    const first = await client.call('window_delete', args);
    if (era === 'legacy') return { asked, result: first };
    asked = first.inputRequests?.['delete']?.params['message'];
    return { asked, result: await client.call('window_delete', args, { inputResponses: { delete: answer } }) };
  }

  test('S0-12 asks the person first, says what goes, and deletes when they agree', async () => {
    const backend = deleting();
    const { asked, result } = await callAndAnswer(backend, answers.accept);
    expect(asked).toContain('Delete the window "auth-refactor-1" with 8,192 tokens and 12.6 MB of KV cache?');
    expect(result.structuredContent).toMatchObject({ success: true, blocks_deleted: 3, space_freed_bytes: 9 });
    expect(wasDeleted(backend)).toBe(true);
  });

  test.each([
    ['declines', answers.decline],
    ['closes the question', { action: 'cancel' }],
    ['sends the form without a tick', { action: 'accept', content: { delete: false } }],
  ])('deletes nothing when the person %s', async (_how, answer) => {
    const backend = deleting();
    const { result } = await callAndAnswer(backend, answer);
    expect(result.isError).toBe(true);
    expect(wasDeleted(backend)).toBe(false);
  });

  test('is refused with what to do instead by a client that cannot ask', async () => {
    const backend = deleting();
    const client = await openClient({ era, backend });
    const result = await client.call('window_delete', { window_name: 'w', force: true });
    expect(code(result)).toBe('CWM-8001');
    expect(result.content[0]?.text).toContain('run "cwm delete w"');
    expect(wasDeleted(backend)).toBe(false);
  });

  test('needs no question where the user started the server with --allow-force, and the agent says force', async () => {
    const backend = deleting();
    const client = await openClient({ era, backend, allowForce: true });
    expect(code(await client.call('window_delete', { window_name: 'w' }))).toBe('CWM-8001');
    expect((await client.call('window_delete', { window_name: 'w', force: true })).isError).toBeUndefined();
    expect(wasDeleted(backend)).toBe(true);
  });
});

test('a server ends when its client closes its end, and aborts what still runs', async () => {
  const aborted = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const backend = new FakeBackend({
    freeze: (_input, { signal }) => {
      begun.resolve();
      signal?.addEventListener('abort', () => aborted.resolve());
      return new Promise(() => undefined);
    },
  });
  const { client, leave } = await connect({ era: 'legacy', backend });
  void client.call('window_freeze', { session_id: 's', window_name: 'w' });
  await begun.promise;
  await leave();
  await aborted.promise;
});

test('the engine that the user named for the server is that of freezes and thaws, and of nothing else', async () => {
  const backend = new FakeBackend({
    freeze: () => aReceipt(),
    listWindows: () => ({ items: [], total: 0, hasMore: false }),
  });
  const client = await openClient({ era: 'legacy', backend, engine: 'http://localhost:8000' });
  await client.call('window_freeze', { session_id: 's', window_name: 'w' });
  await client.call('window_list');
  expect(backend.calls.map(({ input }) => 'engine' in input)).toEqual([true, false, false]);
});
