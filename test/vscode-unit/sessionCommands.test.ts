import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { BackendClient } from '../../src/client/backendClient.ts';
import type { App } from '../../src/vscode/app.ts';
import { sessionSettings } from '../../src/vscode/commands/sessionSettings/sessionSettings.ts';
import { adoptProject } from '../../src/vscode/commands/projects/adoptProject.ts';
import { projectBase } from '../../src/vscode/commands/projects/projectBase.ts';
import { memories } from '../../src/vscode/commands/sessionSettings/memories.ts';
import { systemPrompts } from '../../src/vscode/commands/sessionSettings/systemPrompts.ts';
import { trustFolder } from '../../src/vscode/commands/sessions/trustFolder.ts';
import { exportConversation, importConversation } from '../../src/vscode/commands/sessions/transfer.ts';
import { thawWith } from '../../src/vscode/commands/windows/thaw.ts';
import { ViewState } from '../../src/vscode/state.ts';
import { evictionPolicies } from '../../src/protocol/settings/sessionChoices.ts';
import { parseProjectUri } from '../../src/protocol/ids.ts';
import { wholeBackends } from '../security/support/wholeBackend.ts';

/** What the user chooses and types, one after another; what the editor has open, and what was written and said. */
const user = vi.hoisted(() => ({
  answers: [] as string[],
  editor: '',
  file: '',
  written: '',
  said: [] as string[],
}));

vi.mock('vscode', () => {
  const pick = async (items: (string | { label: string })[]) => {
    const wanted = user.answers.shift();
    const found = items.find((item) => (typeof item === 'string' ? item : item.label) === wanted);
    if (!found) throw new Error(`"${wanted}" is not offered: ${JSON.stringify(items)}`);
    return found;
  };
  const say = async (text: string, options?: { modal?: boolean }) => {
    user.said.push(text);
    return options?.modal ? user.answers.shift() : undefined;
  };
  return {
    ProgressLocation: { Notification: 15 },
    QuickPickItemKind: { Separator: -1 },
    Uri: { from: (parts: object) => parts, file: (path: string) => ({ scheme: 'file', path, fsPath: path }) },
    ThemeIcon: Object,
    window: {
      get activeTextEditor() {
        return user.editor === '' ? undefined : { document: { getText: () => user.editor } };
      },
      showInformationMessage: say,
      showWarningMessage: say,
      showErrorMessage: say,
      showQuickPick: pick,
      showInputBox: async ({ validateInput }: { validateInput?: (value: string) => string | null }) => {
        const typed = user.answers.shift();
        const refused = typed === undefined ? null : validateInput?.(typed);
        if (refused) throw new Error(refused);
        return typed;
      },
      showSaveDialog: async () => ({ scheme: 'file', path: user.file, fsPath: user.file }),
      withProgress: (_: object, task: (progress: object, token: object) => unknown) =>
        task({ report: () => undefined }, { onCancellationRequested: () => ({ dispose: () => undefined }) }),
    },
    workspace: {
      getConfiguration: () => ({ get: () => 64 }),
      fs: {
        writeFile: async (_: object, bytes: Uint8Array) => void (user.written = new TextDecoder().decode(bytes)),
      },
    },
  };
});

const start = wholeBackends();
const project = { kind: 'folder', uri: parseProjectUri('file:///home/me/orchard'), name: 'orchard' } as const;

/** As much of the extension as these commands touch, on a real backend. */
async function editor() {
  const { client } = await start();
  Object.assign(user, { answers: [], editor: '', said: [] });
  const session = await client.call('createSession', { id: 's', title: 'Chat', project: project.uri });
  const state = new ViewState((error) => {
    throw error;
  });
  state.update({ project, currentSession: { kind: 'session', session } });
  const parts = {
    connection: Object.assign(client, { open: async () => undefined }),
    puller: { settled: async () => undefined },
    project: { settled: Promise.resolve() },
    state,
    documents: { refresh: () => undefined },
    readings: { show: () => undefined, isVisible: () => false },
    log: {
      warn: () => undefined,
      error: (...said: unknown[]) =>
        void user.said.push(said.map((each) => (each instanceof Error ? each.stack : String(each))).join(' ')),
      info: () => undefined,
    },
  };
  const does = async (result: Promise<{ readonly kind: string }>, ...answers: string[]) => {
    user.answers.push(...answers);
    expect(await result, user.said.join('; ')).toMatchObject({ kind: 'done' });
    expect(user.answers).toEqual([]);
  };
  return { app: parts as unknown as App, client, does };
}

test('a session gets stop texts and tools from its settings, and loses them there', async () => {
  const { app, client, does } = await editor();
  const settings = async () => (await client.call('getSession', { session: 's' })).settings;
  const change = async (...answers: string[]): Promise<void> => {
    user.answers.push(...answers);
    await does(sessionSettings(app, { session: 's' }));
  };
  await change('Stop Texts', String.raw`END\n`);
  await change('Stop Texts', 'Add a Stop Text…', '###');
  expect((await settings())?.sampling?.stop).toEqual(['END\n', '###']);
  await change('Stop Texts', String.raw`Remove "END\n"`);
  await change('Stop Texts', 'Remove "###"');
  expect((await settings())?.sampling?.stop).toBeUndefined();
  await change('Tools', 'white-list', 'read_file, list_files');
  expect((await settings())?.tools).toEqual({ policy: 'white-list', allowed: ['read_file', 'list_files'] });
  await change('Tools', 'auto-loop', '7');
  expect((await settings())?.tools).toEqual({ policy: 'auto-loop', rounds: 7 });
  await change('Tools', 'manual');
  expect((await settings())?.tools).toEqual({ policy: 'manual' });
  await change('Tools', 'off');
  expect((await settings())?.tools).toBeUndefined();
});

test('S1-63 S1-45 a session gets virtual memory, its mode and its policy in the editor', async () => {
  const { app, client, does } = await editor();
  const change = async (...answers: string[]) => {
    user.answers.push(...answers);
    await does(sessionSettings(app, { session: 's' }));
    return (await client.call('getSession', { session: 's' })).settings?.memory;
  };
  expect(await change('Virtual Memory', 'on')).toEqual({ enableVm: true });
  for (const policy of evictionPolicies)
    expect(await change('Eviction Policy', policy)).toEqual({ enableVm: true, policy });
  const policy = evictionPolicies.at(-1);
  expect(await change('Virtual Memory', 'on, strict')).toEqual({ enableVm: true, policy, vmMode: 'strict' });
  expect(await change('Virtual Memory', 'on, passive')).toEqual({ enableVm: true, policy, vmMode: 'passive' });
  expect(await change('Virtual Memory', 'on')).toEqual({ enableVm: true, policy });
  expect(await change('Virtual Memory', 'off')).toBeUndefined();
});

test('S0-16 whether anything of one conversation is saved unasked is a setting of it', async () => {
  const { app, client, does } = await editor();
  const change = async (answer: string) => {
    user.answers.push('Saved Unasked', answer);
    await does(sessionSettings(app, { session: 's' }));
    return (await client.call('getSession', { session: 's' })).recorded;
  };
  expect(await change('nothing')).toBe(false);
  expect(await change('checkpoints')).toBe(true);
});

test('system prompts are created, edited, replaced with the text of an editor, and deleted', async () => {
  const { app, client, does } = await editor();
  const texts = async () =>
    Object.fromEntries((await client.call('listPrompts', {})).items.map(({ id, text }) => [id, text]));
  user.answers.push('New System Prompt…', 'terse', 'Be brief.');
  await does(systemPrompts(app, {}));
  user.answers.push('terse', 'Edit…', 'Be very brief.');
  await does(systemPrompts(app, {}));
  expect((await texts())['terse']).toBe('Be very brief.');
  user.editor = 'Be brief.\nAnd kind.';
  user.answers.push('terse', 'Replace with the Text of the Active Editor');
  await does(systemPrompts(app, {}));
  expect((await texts())['terse']).toBe('Be brief.\nAnd kind.');
  user.answers.push('terse', 'Delete');
  await does(systemPrompts(app, {}));
  expect(await texts()).not.toHaveProperty('terse');
});

test('a memory of each scope is written down, listed by scope, edited, replaced with the text of an editor, and forgotten when the user says so', async () => {
  const { app, client, does } = await editor();
  const known = async () => {
    const { items } = await client.call('listMemories', { session: 's', project: project.uri });
    return items.map(({ id, text, version, tool }) => [id, text, version, ...(tool === undefined ? [] : [tool])]);
  };
  const change = async (...answers: string[]) => does(memories(app, { session: 's' }), ...answers);
  await change('New Memory…', 'This Session', 'The branch is $(heron).');
  await change('New Memory…', 'This Project', 'Tests run with vitest.');
  await change('New Memory…', 'A Tool', 'read_file', 'Paths are relative.');
  await change('New Memory…', 'All My Sessions', 'Short answers.');
  expect(await known()).toEqual([
    ['u1', 'Short answers.', 1],
    ['t1', 'Paths are relative.', 1, 'read_file'],
    ['p1', 'Tests run with vitest.', 1],
    ['s1', 'The branch is $(heron).', 1],
  ]);
  await change('Tests run with vitest.', 'Edit…', 'Tests run with "npm test".');
  user.editor = 'Be brief.\nAnd kind.';
  await change('Short answers.', 'Replace with the Text of the Active Editor');
  // A text in a list is no icon.
  await change('The branch is $ (heron).', 'Forget…', 'Forget');
  expect(user.said).toContain('Forget "The branch is $(heron)."?');
  expect(await known()).toEqual([
    ['u1', 'Be brief.\nAnd kind.', 2],
    ['t1', 'Paths are relative.', 1, 'read_file'],
    ['p1', 'Tests run with "npm test".', 2],
  ]);
  user.answers.push('Be brief. And kind.', 'Forget…', 'Cancel');
  expect(await memories(app, {})).toEqual({ kind: 'cancelled' });
  expect(await known()).toHaveLength(3);
});

test('a memory is refused where it is typed: empty, or longer than a memory may be', async () => {
  const { app } = await editor();
  user.answers.push('New Memory…', 'This Project', ' ');
  expect(await memories(app, {})).toMatchObject({ kind: 'failed' });
  user.answers.push('New Memory…', 'This Project', 'é'.repeat(1_025));
  expect(await memories(app, {})).toMatchObject({ kind: 'failed' });
  expect(user.said.join('\n')).toContain('2,050 bytes');
});

test('a keybinding writes a memory down, changes it and forgets it with nothing asked', async () => {
  const { app, does } = await editor();
  await does(memories(app, { scope: 'project', text: 'Tests run with vitest.' }));
  await does(memories(app, { memory: 'p1', text: 'Tests run at night.' }));
  const forgotten = memories(app, { memory: 'p1', confirmed: true });
  expect(await forgotten).toMatchObject({ kind: 'done', value: { text: 'Tests run at night.', version: 2 } });
  expect(await memories(app, { scope: 'everybody', text: 'x' })).toMatchObject({ kind: 'failed' });
});

test('a window is thawed with a message, and without a request to the model server', async () => {
  const { app, client, does } = await editor();
  await client.call('send', { session: 's', text: 'Hello.' });
  await client.call('freeze', { session: 's', window: 'w' });
  user.answers.push('A Message…', 'And now?');
  await does(thawWith(app, { window: 'w' }));
  const [latest] = (await client.call('listSessions', {})).items;
  const { items } = await client.call('listMessages', { session: latest?.id ?? '' });
  expect(items).toHaveLength(4);
  expect(items[2]?.content).toMatchObject({ text: 'And now?' });
  user.answers.push('No Warming');
  const cold = thawWith(app, { window: 'w' });
  expect(await cold).toMatchObject({ kind: 'done', value: { verdict: 'text-only' } });
});

test('the MCP servers of the open folder are trusted, and no more', async () => {
  const { app, does } = await editor();
  user.answers.push('Trust This Folder');
  await does(trustFolder(app, {}));
  user.answers.push('Do Not Trust It');
  await does(trustFolder(app, {}));
  expect(user.said.join('; ')).toMatch(/may choose the model server.*may start the MCP servers.*start no MCP servers/);
});

test('the base of the open folder is made of what its configuration names, renewed and deleted', async () => {
  const { app, client, does } = await editor();
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'cwm-base-')));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, '.cwm'));
  const config = { version: '1.0', project: { name: 'orchard' }, prime: ['a.txt'] };
  writeFileSync(join(folder, '.cwm', 'config.json'), JSON.stringify(config));
  writeFileSync(join(folder, 'a.txt'), 'Apples and pears.');
  const uri = parseProjectUri(pathToFileURL(folder).href);
  app.state.update({ project: { kind: 'folder', uri, name: 'orchard' } });
  await does(projectBase(app, {}), 'Make of Configured Files');
  const made = (await client.call('projectBase', { project: uri })).base;
  expect(made?.files.map(({ path }) => path)).toEqual(['a.txt']);
  writeFileSync(join(folder, 'a.txt'), 'Apples, pears and plums.');
  await does(projectBase(app, {}), 'Renew');
  expect((await client.call('projectBase', { project: uri })).base?.window).not.toBe(made?.window);
  expect(await projectBase(app, { action: 'delete' })).toEqual({ kind: 'cancelled' });
  await does(projectBase(app, {}), 'Delete', 'Delete');
  expect((await client.call('projectBase', { project: uri })).base).toBeNull();
  expect(user.said.join('; ')).toMatch(/The base has .* 1 file,.*; New sessions of orchard begin empty/s);
});

test('a project is adopted into the open folder once the user says so', async () => {
  const { app, client, does } = await editor();
  await client.call('createSession', { id: 't', project: 'file:///home/me/garden' });
  user.answers.push('garden');
  expect(await adoptProject(app, {})).toEqual({ kind: 'cancelled' });
  await does(adoptProject(app, {}), 'garden', 'Bring Here');
  expect((await client.call('getSession', { session: 't' })).project).toBe(project.uri);
  expect(user.said.at(-1)).toMatch(/1 session of .*garden now belongs to .*orchard/);
});

test('a conversation is exported as Markdown, whole', async () => {
  const { app, client, does } = await editor();
  await client.call('send', { session: 's', text: 'Hello.' });
  user.file = '/chats/chat.md';
  await does(exportConversation(app, { session: 's' }));
  expect(user.written).toMatch(/^# Chat\n\n## You\n\nHello\.\n\n## Model\n\n/);
});

test('a conversation in one file becomes a window, which the model server of this machine computed', async () => {
  const { app, client, does } = await editor();
  await client.call('send', { session: 's', text: 'Hello.' });
  const { content } = await client.call('exportConversation', { session: 's', format: 'cwindow' });
  const path = fileWith(content);
  user.answers.push('As a Window…', 'from-elsewhere');
  await does(importConversation(app, { path }));
  const { summary } = await client.call('getWindow', { window: 'from-elsewhere' });
  expect(summary).toMatchObject({ mode: 'freeze' });
  expect(summary.session).not.toBe('s');
  expect(summary.tokens).toBeGreaterThan(10);
});

test('an export offers the KV of the embedded engine, and says how large it is before it writes any', async () => {
  const { app, client, does } = await editor();
  await client.call('send', { session: 's', text: 'Hello.' });
  const answer = { tokens: 64, total: 70, bytes: 2_000_000, notes: ['6 tokens have no block.'] };
  const { asked, session } = await withKvCalls(app, client, 'exportKv', answer);
  user.file = '/chats/chat.cwindow';
  await does(exportConversation(app, { session }), 'Text Only');
  expect(asked).toEqual([]);
  user.answers.push('Text and KV…', 'Export with KV');
  expect(await exportConversation(app, { session })).toMatchObject({ kind: 'done' });
  expect(asked).toEqual([{ session }, { session, path: user.file }]);
  expect(user.said.at(-1)).toMatch(/has the KV of 64 of 70 tokens, .*6 tokens have no block\./);
  user.answers.push('Text and KV…');
  expect(await exportConversation(app, { session })).toEqual({ kind: 'cancelled' });
  expect(asked).toHaveLength(3);
  const none = exportConversation(app, { session, path: '/chats/chat.md', kv: true });
  expect(await none).toMatchObject({ kind: 'failed', error: { code: 'CWM-1003' } });
});

test('an import takes the KV in a file only when the user says so, and says what that means', async () => {
  const { app, client, does } = await editor();
  await client.call('send', { session: 's', text: 'Hello.' });
  const { content } = await client.call('exportConversation', { session: 's', format: 'cwindow' });
  const path = fileWith(`${content.trimEnd()}\n{"format":"cwm-kv"`);
  const { asked } = await withKvCalls(app, client, 'importKv', { tokens: 64, total: 70, bytes: 2_000_000, notes: [] });
  user.answers.push('As a Session', 'Leave the KV in the File');
  await does(importConversation(app, { path }));
  expect(asked).toEqual([]);
  expect(user.said.at(-1)).toMatch(/The file has KV, which was not taken: KV is a prompt that nobody can read/);
  user.answers.push('As a Session', 'Take the KV, Too');
  await does(importConversation(app, { path }));
  expect(asked).toMatchObject([{ path, offset: content.trimEnd().length + 1 }]);
  expect(user.said.at(-1)).toMatch(/Took the KV of 64 of 70 tokens.*no window of this session is proven/);
  const without = importConversation(app, { path: fileWith(content), window: 'w', kv: true });
  expect(await without).toMatchObject({ kind: 'failed', error: { code: 'CWM-1003' } });
});

/** A file that is deleted after the test. */
function fileWith(content: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'cwm-chat-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'chat.cwindow');
  writeFileSync(path, content);
  return path;
}

/** An embedded engine, for one operation and in the session's record: it answers this. */
async function withKvCalls(app: App, client: BackendClient, operation: string, answer: object) {
  const asked: object[] = [];
  const call = client.call.bind(client);
  vi.spyOn(app.connection, 'call').mockImplementation((async (name: string, input: object, ...more: never[]) => {
    if (name === operation) asked.push(input);
    if (name === operation) return answer;
    const said: unknown = await Reflect.apply(call, null, [name, input, ...more]);
    return name === 'getSession' ? { ...(said as object), engine: 'embedded' } : said;
  }) as never);
  onTestFinished(() => void vi.restoreAllMocks());
  return { asked, session: 's' };
}
