import { after, before, describe, it } from 'mocha';
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { LanguageModelChatMessage, commands, lm, workspace } from 'vscode';
import type { BackendClient } from '../../../src/client/backendClient.ts';
import { connectBackend } from '../../../src/client/connectBackend.ts';
import { modelVendor } from '../../../src/vscode/contributions.ts';
import { floor } from '../../clients/floor.ts';
import { scriptedServer, type SeenChat } from '../../clients/scriptedServer.ts';
import { FakeLlamaServer } from '../../fakes/fakeLlamaServer.ts';
import { chatAnswers, patienceMs, say, waitFor } from './chatView.ts';
import { done, set, state, until, useFreshStorage } from './support.ts';

/** Agent mode sends 40 tools of 55,000 characters. */
const contextTokens = 2_000_000;
const unaskedId = 'model-server';

/** The same chat, model server and folder for all: what one leaves behind the next one finds. */
describe("@window in the editor's own chat, with a model server that comes and goes", function () {
  this.timeout(4 * patienceMs);
  const cleanUps: (() => Promise<unknown>)[] = [];
  let storage: Awaited<ReturnType<typeof useFreshStorage>>;
  let server: FakeLlamaServer;
  let engine: string;
  let seen: SeenChat[];

  before(async () => {
    storage = await useFreshStorage();
    const slotDir = mkdtempSync(path.join(tmpdir(), 'cwm-slots-'));
    cleanUps.push(async () => rmSync(slotDir, { recursive: true, force: true }));
    const faults = { model: 'gemma', contextTokens, answer: [...Buffer.from('Red.'), 257] };
    server = await FakeLlamaServer.start({ slotDir, slots: 1, faults });
    cleanUps.push(() => server.stop());
    const front = await scriptedServer(() => server.url, cleanUps);
    seen = front.seen;
    engine = `${front.url}#slots=${slotDir}`;
    await set('cwm.engine', 'http://127.0.0.1:9');
    await chatAnswers();
  });
  after(async () => {
    await set('cwm.chatTools', undefined);
    await set('cwm.engine', undefined);
    await storage.remove();
    for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  });

  it('V8 answers while the model server is down, each time: there is a model for VS Code to send with', async () => {
    await commands.executeCommand('workbench.action.chat.newChat');
    await say('@window /status');
    assert.equal(state().connection.kind, 'connected');
    await until('the engine to be shown as down', () => state().engine.kind === 'down');
    await say('@window /status');
    // Suites before it may have shown the models of their server, which stay.
    assert.deepEqual(
      (await ours()).find(([id]) => id === unaskedId),
      [unaskedId, 24_576],
    );
    await say('@window');
  });

  it('V8 has the models of the server when it is there, with its context, and keeps them when it goes down again', async () => {
    // Nothing between it and the backend: the port is closed once it is gone.
    await set('cwm.engine', server.url);
    const listed = [
      ['gemma', contextTokens - 8192],
      [unaskedId, contextTokens - 8192],
    ];
    const areShown = async () => isDeepStrictEqual(await ours(), listed);
    await waitFor('the models of the server', areShown);
    await server.kill();
    // It asks the server.
    await say('@window /status', withModel);
    await until('the engine to be shown as down', () => state().engine.kind === 'down');
    assert.ok(await areShown());
    await say('@window /status', withModel);
    await server.restart();
    await set('cwm.engine', engine);
    await until('the engine to be reachable', () => state().engine.kind === 'reachable');
    assert.ok(await areShown());
  });

  it('V8 freezes the conversation of the chat, not the current session of the folder; its next turn reuses the KV', async () => {
    const other = await done('cwm.newSession', { title: 'another one' });
    await commands.executeCommand('workbench.action.chat.newChat');
    await say('Name a pear', withModel);
    const { metadata } = await say('@window /freeze pears', withModel);
    assert.equal(metadata?.window, 'pears');
    const session = await asked(
      async (client) => (await client.call('getWindow', { window: 'pears' })).summary.session,
    );
    assert.notEqual(session, other.id);
    assert.ok((await saidIn(session)).some((line) => line.includes('Name a pear')));

    const before = seen.filter(({ isScripted, promptTokens }) => !isScripted && promptTokens !== null);
    const since = seen.length;
    await say('And a plum', withModel);
    await waitFor('the second turn', async () => (await saidIn(session)).some((line) => line.includes('And a plum')));
    const turn = seen.slice(since).find(({ chat }) => JSON.stringify(chat.messages).includes('And a plum'));
    assert.ok(turn, 'The model server is asked.');
    const common = await floor(server.url, turn, before);
    assert.ok((turn.cachedTokens ?? 0) >= common - 1, `${turn.cachedTokens} tokens of ${common} are reused.`);

    await say('@window /branch aside', withModel);
    assert.deepEqual(await branchesOf(session), ['aside', 'main']);
    assert.deepEqual(await branchesOf(other.id), ['main']);
  });

  it('V8 works on the current session of the folder in a chat that has no conversation with a model of ours', async () => {
    const { id } = await done('cwm.newSession', { title: 'by hand' });
    await commands.executeCommand('workbench.action.chat.newChat');
    await say('@window /branch alone', withModel);
    assert.deepEqual(await branchesOf(id), ['alone', 'main']);
  });

  it('V8 knows the conversation of ask mode, too, and it belongs to the folder', async () => {
    const ask = { ...withModel, mode: 'ask' };
    await commands.executeCommand('workbench.action.chat.newChat');
    await say('Is a tomato a fruit?', ask);
    await say('@window /freeze tomato', ask);
    const { session, project } = await asked(async (client) => {
      const { summary } = await client.call('getWindow', { window: 'tomato' });
      return await client.call('getSession', { session: summary.session }).then((found) => ({
        session: found.id,
        project: found.project,
      }));
    });
    assert.ok((await saidIn(session)).some((line) => line.includes('Is a tomato a fruit?')));
    assert.equal(project, folder());
  });

  it('V8 what another extension asks a model of ours is in the project of the folder, though its prompt names none', async () => {
    const [model] = await lm.selectChatModels({ vendor: modelVendor, id: 'gemma' });
    assert.ok(model);
    const { text } = await model.sendRequest([LanguageModelChatMessage.User('Without a folder.')]);
    for await (const _ of text) continue;
    const [session] = await waitFor('the session', async () => {
      const { items } = await asked((client) => client.call('listSessions', { search: 'Without a folder' }));
      return items.length > 0 && items;
    });
    assert.equal(session?.project, folder());
  });

  it('V8 the MCP server that VS Code starts has the folder as its working directory', async () => {
    await set('cwm.chatTools', 'mcp');
    await commands.executeCommand('workbench.action.chat.newChat');
    await say('USETOOL:window_list {}', withModel);
    const [open] = workspace.workspaceFolders ?? [];
    await waitFor('the answer of the tool', async () => seen.some(({ called }) => called?.endsWith('window_list')));
    // Other systems do not show where a process works.
    if (process.platform !== 'linux') return;
    assert.deepEqual(directoriesOf('mcp.js', storage.path), [open?.uri.fsPath]);
  });

  const withModel = { modelSelector: { vendor: modelVendor, id: 'gemma' } };

  /** The models that VS Code has of the extension. */
  const ours = async () =>
    (await lm.selectChatModels({ vendor: modelVendor })).map(({ id, maxInputTokens }) => [id, maxInputTokens]);

  const folder = (): string | null => {
    const { project } = state();
    return project.kind === 'folder' ? project.uri : null;
  };

  /** Asks the backend of the editor. */
  async function asked<T>(ask: (client: BackendClient) => Promise<T>): Promise<T> {
    const client = await connectBackend({ storage: storage.path, start: null });
    try {
      return await ask(client);
    } finally {
      client.dispose();
    }
  }

  const branchesOf = (session: string) =>
    asked(async (client) => Object.keys((await client.call('getSession', { session })).branches).toSorted());

  const saidIn = (session: string) =>
    asked(async (client) => {
      const { items } = await client.call('listMessages', { session });
      return items.map(({ content }) => ('text' in content ? content.text : ''));
    });
});

/** Where the processes work that run a program for a storage directory. */
function directoriesOf(program: string, storage: string): string[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      const isIt = command.some((word) => word.endsWith(program)) && command.includes(storage);
      return isIt ? [readlinkSync(`/proc/${pid}/cwd`)] : [];
    } catch {
      return []; // It has ended.
    }
  });
}
