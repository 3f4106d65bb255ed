import { describe, expect, test } from 'vitest';
import type { RouteInput, RouteName, RouteOutput } from '../../src/protocol/api.ts';
import { CwmError } from '../../src/protocol/errors.ts';
import type { Receipt } from '../../src/protocol/schemas/receipt.ts';
import type { Session } from '../../src/protocol/schemas/session.ts';
import { chatAnswer, type ChatAnswer, type ChatDesk, type ChatSession } from '../../src/vscode/chat/chatAnswer.ts';
import { confirmation } from '../../src/vscode/chat/confirmation.ts';
import type { ChatCommand } from '../../src/vscode/contributions.ts';
import { aReceipt, aSession, aWindow } from './builders.ts';
import { projectUri } from '../support/ids.ts';
import { FakeBackend } from './fakeBackend.ts';

const windows = (...names: string[]): RouteOutput<'listWindows'> => ({
  items: names.map((name) => aWindow({ name })),
  total: names.length,
  hasMore: false,
});
const details = (receipts: readonly Receipt[] = [aReceipt()]): RouteOutput<'getWindow'> =>
  ({ summary: aWindow({ engine: 'http://x' }), receipts }) as unknown as RouteOutput<'getWindow'>;

/** A desk whose backend answers everything that a command may ask. */
function desk(
  session: Session | null = aSession(),
  found: (asked: RouteInput<'listWindows'>) => RouteOutput<'listWindows'> = () => windows('w1'),
  ofChat: ChatSession | CwmError | null = null,
) {
  const backend = new FakeBackend({
    freeze: ({ window }) => aReceipt({ operation: 'freeze', verdict: null, window }),
    thaw: ({ window }) => aReceipt({ window }),
    clone: ({ target }) => aReceipt({ operation: 'clone', verdict: null, window: target }),
    getWindow: () => details(),
    listWindows: found,
    createBranch: () =>
      aSession({
        activeBranch: 'branch-2',
        branches: { 'branch-2': { name: 'branch-2', head: 'm', length: 3, parentMessageId: 'm' } },
      }),
    health: () => ({ status: 'healthy', sessions: 1, windows: 2, engines: [] }) as unknown as RouteOutput<'health'>,
  });
  const noted: string[] = [];
  const made: ChatDesk = {
    call: <Name extends RouteName>(route: Name, input: RouteInput<Name>) => backend.call(route, input),
    async chatSession() {
      if (ofChat instanceof CwmError) throw ofChat;
      return ofChat;
    },
    project: projectUri('file:///home/me/project'),
    currentSession: async () => session,
    noteReceipt: ({ window }) => void noted.push(`receipt of ${window}`),
    noteOpened: async ({ session: opened }) => void noted.push(`opened ${opened}`),
    newWindowName: ({ title }) => `${title}-now`,
  };
  const ask = (command: ChatCommand | null, ...words: string[]): Promise<ChatAnswer> =>
    chatAnswer(made, command, words);
  const asked = (route: RouteName) => backend.asked.filter((each) => each.route === route).map(({ input }) => input);
  return { ask, asked, noted };
}

const inChat = (session: Session, more: Partial<ChatSession> = {}): ChatSession => ({
  session,
  whyNot: null,
  isElsewhere: false,
  ...more,
});

describe('@window', () => {
  test('freezes the current session under the name that is given, and offers the way back', async () => {
    const { ask, asked, noted } = desk();
    const answer = await ask('freeze', 'before-lunch');
    expect(answer.markdown).toContain('**Freeze of before-lunch**');
    expect(answer.markdown).toContain('The window holds the session **auth-refactor**.');
    expect(answer.buttons.map(({ command }) => command)).toEqual(['cwm.thaw', 'cwm.resume']);
    expect(answer.window).toBe('before-lunch');
    expect(asked('freeze')).toEqual([{ session: 'session-1', engine: 'embedded', window: 'before-lunch' }]);
    expect(noted).toEqual(['receipt of before-lunch']);
    expect((await ask('freeze')).window).toBe('auth-refactor-now');
  });

  test('thaws the newest window where none is named, names its model server, and opens its session', async () => {
    const { ask, asked, noted } = desk();
    const answer = await ask('thaw');
    expect(answer.markdown).toContain('**Thaw of w1: proven \\(from disk\\)**');
    expect(asked('thaw')).toEqual([{ window: 'w1', engine: 'http://x' }]);
    expect(noted).toEqual(['opened session-1']);
  });

  test('clones the newest window, or the one that is named', async () => {
    const { ask, asked } = desk();
    await ask('clone', 'copy');
    await ask('clone', 'w9', 'copy');
    expect(asked('clone')).toEqual([
      { window: 'w1', target: 'copy' },
      { window: 'w9', target: 'copy' },
    ]);
    await expect(ask('clone')).rejects.toThrow('A clone needs a name.');
  });

  test('makes a branch, and says what it shares and how to go back', async () => {
    const answer = await desk().ask('branch');
    expect(answer.markdown).toBe(
      'The session **auth-refactor** is on branch **branch-2** now. It shares 3 messages with branch main.',
    );
    expect(answer.buttons.at(-1)).toEqual({
      command: 'cwm.switchBranch',
      input: { session: 'session-1', branch: 'main' },
    });
  });

  test('says why with the evidence of the last receipt', async () => {
    const { markdown } = await desk().ask('why', 'w1');
    expect(markdown).toContain('8,176 of 8,192 tokens were reused from disk.');
    expect(markdown).toContain('- Canary: agreed');
  });

  test('shows how things are without a command, and offers a session where there is none', async () => {
    expect((await desk().ask(null)).markdown).toContain(
      'The session of this folder is **auth-refactor** (active, branch main,',
    );
    const without = await desk(null).ask('status');
    expect(without.markdown).toContain('This folder has no current session.');
    expect(without.buttons).toEqual([{ command: 'cwm.newSession', input: {} }]);
  });

  test('works on the conversation of the chat where it has one, and not on the current session of the folder', async () => {
    const ofChat = aSession({ id: 'session-2', title: 'Say hi' });
    const { ask, asked } = desk(aSession(), () => windows('w1'), inChat(ofChat));
    expect((await ask('status')).markdown).toContain('The session of this chat is **Say hi** (active,');
    expect((await ask('freeze', 'w')).markdown).toContain('The window holds the session **Say hi**.');
    expect((await ask('branch')).markdown).toContain('The session **Say hi** is on branch');
    await ask('thaw');
    expect([asked('freeze'), asked('createBranch'), asked('listWindows')]).toMatchObject([
      [{ session: 'session-2' }],
      [{ session: 'session-2' }],
      [{ session: 'session-2', limit: 1 }],
    ]);
  });

  test('takes no other session where that of the chat is not stored, and says why', async () => {
    const { ask, asked } = desk(aSession(), undefined, new CwmError('SessionNotFound', 'It was deleted.'));
    for (const command of ['freeze', 'branch', 'thaw', 'why'] as const)
      await expect(ask(command)).rejects.toThrow('It was deleted.');
    expect((await ask('status')).markdown).toContain('It was deleted.');
    expect([asked('freeze'), asked('createBranch'), asked('thaw')]).toEqual([[], [], []]);
  });

  test('changes nothing while the session is on the branch of another chat, as after a fork', async () => {
    const { ask, asked } = desk(aSession(), undefined, inChat(aSession(), { isElsewhere: true }));
    for (const command of ['freeze', 'branch'] as const)
      await expect(ask(command)).rejects.toThrow('Another chat continued the session "auth-refactor".');
    expect((await ask('status')).markdown).toContain('Another chat continued it.');
    expect([asked('freeze'), asked('createBranch')]).toEqual([[], []]);
  });

  test('says which branch a window holds where there are several, and what of the chat is not stored', async () => {
    const main = { name: 'main', head: 'm', length: 3, parentMessageId: null };
    const forked = aSession({
      branches: { main, 'branch-2': { ...main, name: 'branch-2' } },
      activeBranch: 'branch-2',
    });
    const { markdown } = await desk(null, undefined, inChat(forked, { whyNot: 'the disk is full.' })).ask(
      'freeze',
      'w',
    );
    expect(markdown).toContain('on branch **branch-2**. Its last turns were not stored: the disk is full.');
  });

  test("takes the chat's newest window, else the folder's, else the project's, and never one of another project", async () => {
    const thawed = async (having: Partial<RouteInput<'listWindows'>>) => {
      const found = (asked: RouteInput<'listWindows'>) =>
        Object.entries(having).every(([name, value]) => asked[name as 'session'] === value) ? windows('w1') : windows();
      const { ask, asked } = desk(aSession(), found, inChat(aSession({ id: 'of-chat' })));
      await ask('thaw');
      return asked('listWindows').length;
    };
    expect(await thawed({ session: 'of-chat' })).toBe(1);
    expect(await thawed({ session: 'session-1' })).toBe(2);
    expect(await thawed({ project: 'file:///home/me/project' })).toBe(3);
    await expect(thawed({ project: 'file:///other' })).rejects.toThrow('There is no window here yet.');
  });

  test('refuses with the next step what needs a session or a window that is not there', async () => {
    await expect(desk(null).ask('freeze')).rejects.toMatchObject({ code: 'CWM-3104' });
    await expect(desk(null, () => windows()).ask('thaw')).rejects.toMatchObject({
      hint: 'Freeze a session first, or name a window.',
    });
  });
});

describe('a tool of the chat', () => {
  test.each([
    ['window_delete', { window_name: 'w' }, 'Delete the window "w"?'],
    ['window_freeze', { session_id: 's', window_name: 'w' }, 'Freeze the session "s" as the window "w"?'],
    ['window_freeze', { session_id: 's', window_name: 'w', checkpoint: true }, 'as the window "w"? It stays open.'],
    ['window_thaw', { window_name: 'w' }, 'Thaw the window "w"?'],
    ['auto_freeze_config', { enabled: false }, 'Change when sessions are saved: {"enabled":false}?'],
  ] as const)('%s asks a person first', (name, input, words) => {
    expect(confirmation(name, input)?.message).toContain(words);
  });

  test.each([
    'window_list',
    'window_status',
    'session_list',
    'health_check',
    'window_clone',
    'auto_freeze_config',
  ] as const)('%s asks nobody where it deletes and spends nothing', (name) =>
    expect(confirmation(name, {})).toBeNull(),
  );
});
