import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { RouteOutput } from '../../src/protocol/api.ts';
import { CwmError } from '../../src/protocol/errors.ts';
import { aSession, aWindow } from '../vscode-unit/builders.ts';
import { FakeBackend } from './support/fakeBackend.ts';
import { eras, type McpClient } from './support/mcpClient.ts';
import { connect, openClient } from './support/openClient.ts';

const filled = (): FakeBackend =>
  new FakeBackend({
    listWindows: () => ({ items: [aWindow({ name: 'w1', description: 'before lunch' })], total: 1, hasMore: false }),
    listSessions: () => ({ items: [aSession()], total: 1, hasMore: false }),
    getSession: () =>
      aSession({ branches: { main: { name: 'main', head: 'm1', length: 1, parentMessageId: null } }, title: 'Auth' }),
    listMessages: () =>
      ({
        items: [{ id: 'm1', role: 'user', sequence: 1, content: { type: 'text', text: 'Where is the door?' } }],
        total: 1,
        hasMore: false,
      }) as unknown as RouteOutput<'listMessages'>,
    getWindow: ({ window }) => Promise.reject(new CwmError('WindowNotFound', `There is no window "${window}".`)),
  });

describe.each(eras)('resources in the %s form of the protocol', (era) => {
  test('S0-17 lists, figures and health are resources, and so are each window and each conversation', async () => {
    const client = await openClient({ era, backend: filled() });
    const { result } = await client.request('resources/list');
    const resources = result?.['resources'] as { uri: string }[];
    expect(resources.map(({ uri }) => uri)).toEqual([
      'cwm://windows',
      'cwm://sessions',
      'cwm://stats',
      'health://status',
      'cwm://windows/w1',
      'cwm://sessions/session-1',
    ]);
  });

  test('S0-17 a list is read as JSON, a conversation as Markdown', async () => {
    const client = await openClient({ era, backend: filled() });
    const read = async (uri: string): Promise<{ text: string; mimeType: string }> => {
      const { result } = await client.request('resources/read', { uri });
      const [contents] = (result?.['contents'] ?? []) as { text: string; mimeType: string }[];
      return contents ?? { text: '', mimeType: '' };
    };
    const windows = await read('cwm://windows');
    expect(JSON.parse(windows.text)).toMatchObject({ windows: [{ name: 'w1' }], total: 1 });
    const conversation = await read('cwm://sessions/session-1');
    expect(conversation).toMatchObject({ mimeType: 'text/markdown', text: expect.stringContaining('# Auth') });
    expect(conversation.text).toContain('Where is the door?');
  });

  test('a resource that cannot be read is an error with our sentence and code', async () => {
    const client = await openClient({ era, backend: filled() });
    const { error } = await client.request('resources/read', { uri: 'cwm://windows/gone' });
    expect(error?.message).toContain('There is no window "gone". (CWM-2002)');
  });

  test('the names of windows complete what a person types', async () => {
    const client = await openClient({ era, backend: filled() });
    const complete = async (ref: object, name: string): Promise<unknown> => {
      const { result } = await client.request('completion/complete', { ref, argument: { name, value: 'w' } });
      return (result?.['completion'] as { values: unknown } | undefined)?.values;
    };
    expect(await complete({ type: 'ref/resource', uri: 'cwm://windows/{name}' }, 'name')).toEqual(['w1']);
    expect(await complete({ type: 'ref/prompt', name: 'thaw' }, 'window')).toEqual(['w1']);
  });

  test('a slash command asks the model for the tool that it names', async () => {
    const client = await openClient({ era, backend: filled() });
    const { result } = await client.request('prompts/list');
    const prompts = result?.['prompts'] as { name: string }[];
    expect(prompts.map(({ name }) => name)).toEqual(['freeze', 'thaw', 'clone', 'branch', 'status', 'why']);
    const got = await client.request('prompts/get', { name: 'freeze', arguments: { session: 's1', window: 'w2' } });
    const [message] = (got.result?.['messages'] ?? []) as { content: { text: string } }[];
    expect(message?.content.text).toContain('window_freeze with session_id "s1" and window_name "w2"');
    const all = { session: 's1', window: 'w1', target: 'w3' };
    const asked = prompts.map(async ({ name }) => {
      const { result } = await client.request('prompts/get', { name, arguments: all });
      const [said] = (result?.['messages'] ?? []) as { content: { text: string } }[];
      return said?.content.text.split(/[ ,]/)[1];
    });
    expect(await Promise.all(asked)).toEqual([
      'window_freeze',
      'window_thaw',
      'window_clone',
      'branch_create',
      'health_check',
      'window_status',
    ]);
  });
});

describe('changes', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
  afterEach(() => void vi.useRealTimers());

  const methods = (client: McpClient): unknown[] =>
    client.notifications.map(({ method, params }) => [method, params?.['uri']].filter((each) => each !== undefined));

  test('S0-17 a client hears once that the list of resources is another one, however many windows came', async () => {
    const backend = filled();
    const client = await openClient({ era: 'legacy', backend });
    backend.signal({ type: 'window', window: 'w1' });
    backend.signal({ type: 'window', window: 'w2' });
    vi.advanceTimersByTime(500);
    await client.request('ping');
    expect(methods(client)).toEqual([['notifications/resources/list_changed']]);
  });

  test('a turn changes no list, and only who subscribed to its session hears of it', async () => {
    const backend = filled();
    const client = await openClient({ era: 'legacy', backend });
    await client.request('resources/subscribe', { uri: 'cwm://sessions/s1' });
    backend.signal({ type: 'session', session: 's1', version: 7 });
    backend.signal({ type: 'session', session: 's2', version: 3 });
    vi.advanceTimersByTime(500);
    await client.request('ping');
    expect(methods(client)).toEqual([['notifications/resources/updated', 'cwm://sessions/s1']]);
    await client.request('resources/unsubscribe', { uri: 'cwm://sessions/s1' });
    backend.signal({ type: 'session', session: 's1', version: 8 });
    vi.advanceTimersByTime(500);
    await client.request('ping');
    expect(methods(client)).toHaveLength(1);
  });

  test('in the form of 2026 a subscription hears of what it named', async () => {
    const backend = filled();
    const client = await openClient({ era: 'modern', backend });
    await client.request('tools/list');
    void client.request('subscriptions/listen', {
      notifications: { resourcesListChanged: true, resourceSubscriptions: ['cwm://windows'] },
    });
    await client.heard('notifications/subscriptions/acknowledged');
    backend.signal({ type: 'window', window: 'w1' });
    backend.signal({ type: 'session', session: 's1', version: 2 });
    vi.advanceTimersByTime(500);
    await client.request('tools/list');
    expect(methods(client).slice(1)).toEqual([
      ['notifications/resources/updated', 'cwm://windows'],
      ['notifications/resources/list_changed'],
    ]);
  });

  test('a server whose client has gone listens to the backend no more', async () => {
    const backend = filled();
    const { client, leave } = await connect({ era: 'legacy', backend });
    await client.request('ping');
    expect(backend.listeners).toBe(1);
    await leave();
    expect(backend.listeners).toBe(0);
  });
});
