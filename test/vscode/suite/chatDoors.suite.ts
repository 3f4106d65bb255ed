import { after, before, describe, it } from 'mocha';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ConfigurationTarget, commands, lm, workspace, type LanguageModelTextPart } from 'vscode';
import type { BackendClient } from '../../../src/client/backendClient.ts';
import { connectBackend } from '../../../src/client/connectBackend.ts';
import { modelVendor } from '../../../src/vscode/contributions.ts';
import { floor } from '../../clients/floor.ts';
import { scriptedServer, type SeenChat } from '../../clients/scriptedServer.ts';
import { FakeLlamaServer } from '../../fakes/fakeLlamaServer.ts';
import { isNightly } from '../../support/nightly.ts';
import { done, set, state, useFreshStorage } from './support.ts';

/** VS Code's own extension registers it once it answers in the chat view: with nobody signed in, when there is a model of somebody else's. */
const chatIsReady = 'github.copilot.interactiveSession.feedback';
/** Titles and progress messages come from the model of the conversation, as from that of somebody who signed in. */
const utilityDefault = 'chat.byokUtilityModelDefault';
const patienceMs = 150_000;
/** How long the model server takes to load the KV of a frozen session. */
const slowThawMs = 15_000;

/** What the chat asks for beside the conversation, where it has time to. */
const errandKinds = { title: /write a brief title/, 'progress messages': /progress messages/ };
/** Turns in agent mode have tools. */
const isErrand = ({ chat }: SeenChat): boolean => (chat.tools?.length ?? 0) === 0;
const asks = ({ chat }: SeenChat): string => JSON.stringify(chat.messages);

/** What the command that writes into the chat view resolves to. */
interface ChatResult {
  readonly metadata?: { readonly window?: unknown };
  readonly errorDetails?: { readonly message: string };
  /** `confirmation`: a person is asked before a tool runs. */
  readonly type?: string;
  readonly toolId?: string;
}

/** Agent mode sends 40 tools of 55,000 characters: minutes for a model without a GPU, so that a server without a model answers. */
describe("agent mode of the editor's own chat, with nobody signed in", function () {
  this.timeout(2 * patienceMs);
  const cleanUps: (() => Promise<unknown>)[] = [];
  let engine: string;
  let storage: Awaited<ReturnType<typeof useFreshStorage>>;
  let seen: SeenChat[];
  let scripted: Awaited<ReturnType<typeof scriptedServer>>['scripted'];
  let server: FakeLlamaServer;

  before(async () => {
    storage = await useFreshStorage();
    const slotDir = mkdtempSync(path.join(tmpdir(), 'cwm-slots-'));
    cleanUps.push(async () => rmSync(slotDir, { recursive: true, force: true }));
    const faults = { model: 'gemma', contextTokens: 2_000_000, answer: [...Buffer.from('Red.'), 257] };
    const fake = await FakeLlamaServer.start({ slotDir, slots: 1, faults });
    server = fake;
    cleanUps.push(() => fake.stop());
    const [folder] = workspace.workspaceFolders ?? [];
    const front = await scriptedServer(() => fake.url, cleanUps, {
      file: path.join(folder?.uri.fsPath ?? '', 'README.md'),
    });
    ({ seen, scripted } = front);
    engine = `${front.url}#slots=${slotDir}`;
    await set('cwm.gateway.port', await freePort());
    await set('cwm.engine', engine);
    await workspace.getConfiguration().update(utilityDefault, 'mainAgent', ConfigurationTarget.Global);
    // It turns VS Code's own extension on, which is off in a new profile. What it opens waits for a person.
    void commands.executeCommand('workbench.action.chat.manage');
    await waitFor("VS Code's own chat", async () => (await commands.getCommands(true)).includes(chatIsReady));
  });
  after(async () => {
    await workspace.getConfiguration().update(utilityDefault, undefined, ConfigurationTarget.Global);
    await set('cwm.chatTools', undefined);
    await set('cwm.engine', undefined);
    await storage.remove();
    await set('cwm.gateway.port', undefined);
    for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  });

  it('V8 @window answers over a new storage', async () => {
    const { errorDetails } = await written('@window /status');
    assert.equal(errorDetails, undefined, JSON.stringify(errorDetails));
    assert.equal(state().connection.kind, 'connected');
  });

  it('V8 turns and a call of a tool by the models of the extension are one session of the folder', async () => {
    await talk(modelVendor, ['Say hi', 'USETOOL please', 'Once more']);
  });

  (isNightly ? it : it.skip)(
    'V8 turns and a call of a tool by the Custom Endpoint that Connect a Client… writes are one session of the folder',
    async () => {
      // The gateway's requests go to the model server of all clients.
      await asked((client) => client.call('useEngine', { engine }));
      await done('cwm.connectClient', { client: 'vscode', confirmed: true });
      // A window that is open reads the file again after a change that VS Code makes to it; otherwise at its start.
      const none = { vendor: 'customendpoint', name: 'none', models: [] };
      await commands.executeCommand('lm.migrateLanguageModelsProviderGroup', none);
      await talk('customendpoint', ['Greet me', 'USETOOL again please', 'And once more']);
    },
  );

  it('V8 @window does each of its commands in the chat', async () => {
    const session = await done('cwm.newSession', { title: 'for the chat' });
    await done('cwm.send', { session: session.id, text: 'Say something.' });
    const say = async (words: string): Promise<unknown> => {
      const { metadata, errorDetails } = await written(`@window ${words}`);
      assert.equal(errorDetails, undefined, JSON.stringify(errorDetails));
      return metadata?.window;
    };
    assert.equal(await say('/status'), null);
    assert.equal(await say('/freeze lunch'), 'lunch');
    assert.equal(await say('/clone lunch copy'), 'copy');
    assert.equal(await say('/thaw lunch'), 'lunch');
    assert.equal(await say('/why lunch'), 'lunch');
    assert.equal(await say('/branch aside'), null);
    const [branches, windows] = await asked(async (client) => {
      const { items } = await client.call('listWindows', {});
      const { branches: found } = await client.call('getSession', { session: session.id });
      return [Object.keys(found), items.map(({ name }) => name)] as const;
    });
    assert.deepEqual(
      [branches.toSorted(), windows.toSorted()],
      [
        ['aside', 'main'],
        ['copy', 'lunch'],
      ],
    );
  });

  it('S0-12 a delete that an agent calls waits for a person, and is done once they agree; a list asks nobody', async () => {
    const windowsLeft = () =>
      asked(async (client) => (await client.call('listWindows', {})).items.map(({ name }) => name).toSorted());
    const listed = await agent('USETOOL:window_list {}');
    assert.equal(listed.type, undefined, JSON.stringify(listed));
    assert.match(lastResult(), /copy/);
    const asks = await agent('USETOOL:window_delete {"window_name":"copy"}');
    assert.deepEqual([asks.type, asks.toolId], ['confirmation', 'cwm_window_delete']);
    assert.deepEqual(await windowsLeft(), ['copy', 'lunch']);
    await commands.executeCommand('workbench.action.chat.acceptTool');
    await waitFor('the window to be deleted', async () => (await windowsLeft()).join() === 'lunch');
    await waitFor('the model to hear of it', async () => /blocks_deleted/.test(lastResult()));
  });

  it('V8 VS Code lists the MCP server of the extension, starts it, and its tools work', async () => {
    await set('cwm.chatTools', 'mcp');
    const mcpTool = () => lm.tools.find(({ name }) => /^mcp_.*window_list$/.test(name))?.name;
    const listed = await agent('USETOOL:window_list {}');
    assert.equal(listed.type, undefined, JSON.stringify(listed));
    assert.match(lastResult(), /lunch/);
    const name = mcpTool() ?? assert.fail(`VS Code has these tools: ${lm.tools.map((each) => each.name).join(', ')}`);
    assert.equal(
      seen.some(({ chat }) => chat.tools?.some((each) => each.function.name === name)),
      true,
    );
    const { content } = await lm.invokeTool(name, { input: {}, toolInvocationToken: undefined });
    assert.match((content as LanguageModelTextPart[]).map(({ value }) => value).join(), /lunch/);
  });

  // As long as all the others together.
  (isNightly ? it : it.skip)(
    'V8 a conversation outlives a restart of its model server, waits for a slow thaw, and is stopped and forked, as one session',
    async () => {
      const texts = ['Name a pear', 'And a plum', 'After the thaw', 'SLOWLY please'];
      const select = { modelSelector: { vendor: modelVendor, id: await modelOf(modelVendor) } };
      const say = async (query: string): Promise<void> => {
        const { errorDetails } = await written(query, select);
        assert.equal(errorDetails, undefined, JSON.stringify(errorDetails));
      };
      const ours = async () =>
        (await sessions()).filter(({ said: lines }) => lines.some((line) => line.includes('Name a pear')));
      await commands.executeCommand('workbench.action.chat.newChat');
      await say('Name a pear');
      await say('And a plum');
      const [session] = await waitFor('both turns', async () => {
        const found = await ours();
        return found.some(({ said: lines }) => lines.some((line) => line.includes('And a plum'))) && found;
      });
      assert.ok(session);

      await asked((client) => client.call('freeze', { session: session.id, window: 'pears' }));
      await server.restart();
      scripted.holdRestoreMs = slowThawMs;
      const before = seen.filter(({ isScripted, promptTokens }) => !isScripted && promptTokens !== null);
      const since = seen.length;
      await say('After the thaw');
      scripted.holdRestoreMs = 0;
      const turn = seen.slice(since).find(({ chat }) => JSON.stringify(chat.messages).includes('After the thaw'));
      assert.ok(turn, 'The model server is asked.');
      const common = await floor(server.url, turn, before);
      assert.ok((turn.cachedTokens ?? 0) >= common - 1, `${turn.cachedTokens} tokens of ${common} are reused.`);

      const stopped = written('SLOWLY please', select);
      const slow = await waitFor('the slow answer to begin', async () => seen.find(({ words }) => words > 3));
      await commands.executeCommand('workbench.action.chat.cancel');
      await stopped;
      await waitFor('the model server to be left', async () => slow.leftMs !== null);
      const kept = await waitFor('what was answered until then', async () =>
        (await ours())[0]?.said.find((line) => line.startsWith('assistant (stopped): word1 word2')),
      );
      assert.ok(kept);

      await commands.executeCommand('workbench.action.chat.previousUserPrompt');
      await commands.executeCommand('workbench.action.chat.undoEdits');
      await say('Another way');
      const forked = await waitFor('the branch', async () => {
        const found = await ours();
        return found[0]?.branches === 2 && found;
      });
      assert.equal(forked.length, 1);
      assert.deepEqual(
        texts.filter((text) => forked[0]?.said.some((line) => line.startsWith('user') && line.includes(text))),
        texts.slice(0, 3),
        'The branch has what was said before the edited message.',
      );
    },
  );

  it('V8 what the chat asks for on its own account, as titles and progress messages, are turns of no session', async () => {
    // VS Code decides when it asks for which: all that it asked for so far counts.
    const errands = seen.filter(isErrand);
    const strange = errands.map(asks).filter((text) => !Object.values(errandKinds).some((words) => words.test(text)));
    assert.deepEqual(
      strange.map((text) => text.slice(0, 300)),
      [],
      'VS Code asks for something that nobody here knows.',
    );
    const said = (await sessions()).flatMap(({ said: lines }) => lines);
    const asked = errands.flatMap(({ chat }) => chat.messages.map(({ content }) => content));
    assert.deepEqual(
      said.filter(
        (line) =>
          Object.values(errandKinds).some((words) => words.test(line)) ||
          asked.some((text) => typeof text === 'string' && line === `user: ${text}`),
      ),
      [],
    );
  });

  /** Writes into the chat view what a person would, and waits for the answer. */
  async function written(query: string, more: object = {}): Promise<ChatResult> {
    const result = await Promise.race([
      commands.executeCommand<ChatResult | undefined>('workbench.action.chat.open', {
        query,
        mode: 'agent',
        blockOnResponse: true,
        ...more,
      }),
      delay(patienceMs, 'late' as const),
    ]);
    if (result === 'late') assert.fail(`The chat has not answered "${query}" within ${patienceMs / 1000} s.`);
    return result ?? assert.fail(`The chat has no answer to "${query}".`);
  }

  /** The same in a conversation of its own with the model of the extension. */
  async function agent(query: string): Promise<ChatResult> {
    await commands.executeCommand('workbench.action.chat.newChat');
    return await written(query, { modelSelector: { vendor: modelVendor, id: await modelOf(modelVendor) } });
  }

  /** What the model was last told that a tool answered. */
  const lastResult = (): string =>
    JSON.stringify(seen.findLast(({ chat }) => chat.messages.at(-1)?.role === 'tool')?.chat.messages.at(-1) ?? null);

  /** A new conversation, which must be one session. */
  async function talk(vendor: string, texts: readonly string[]): Promise<void> {
    const select = { modelSelector: { vendor, id: await modelOf(vendor) } };
    await commands.executeCommand('workbench.action.chat.newChat');
    const before = seen.length;
    for (const query of texts) {
      const { errorDetails } = await written(query, select);
      assert.equal(errorDetails, undefined, JSON.stringify(errorDetails));
    }
    const asked = seen.slice(before);
    assert.equal(asked.filter(({ isScripted }) => isScripted).length, 1, 'The model calls one tool.');
    assert.match(lastResult(), /Orchard|README|#/i);
    const found = await waitFor(`the session of "${texts[0]}"`, async () => {
      const ofIt = (await sessions()).filter(({ said: lines }) =>
        lines.some((line) => texts.some((text) => line.includes(text))),
      );
      return ofIt.some(({ said: lines }) => lines.some((line) => line.includes(texts.at(-1) ?? ''))) && ofIt;
    });
    const { project } = state();
    assert.deepEqual(
      found.map(({ project: of, branches, said: lines }) => [
        of,
        branches,
        // The first message is VS Code's own: what it says of the folder.
        lines.filter((line) => line.startsWith('user')).flatMap((line) => texts.filter((text) => line.includes(text))),
      ]),
      [[project.kind === 'folder' ? project.uri : null, 1, texts]],
    );
  }

  const modelOf = (vendor: string): Promise<string> =>
    waitFor(`a model of ${vendor}`, async () => {
      const models = await lm.selectChatModels({ vendor });
      return models.find((model) => model.id.includes('gemma') || model.name.includes('gemma'))?.id;
    });

  /** Asks the backend of the editor. */
  async function asked<T>(ask: (client: BackendClient) => Promise<T>): Promise<T> {
    const client = await connectBackend({ storage: storage.path, start: null });
    try {
      return await ask(client);
    } finally {
      client.dispose();
    }
  }

  const sessions = () =>
    asked(async (client) => {
      const { items } = await client.call('listSessions', {});
      return await Promise.all(
        items.map(async ({ id, project, branches }) => {
          const { items: messages } = await client.call('listMessages', { session: id });
          const said = messages.map(
            ({ role, content, cut = '' }) =>
              `${role}${cut && ` (${cut})`}: ${'text' in content ? content.text : content.type}`,
          );
          return { id, project, branches: Object.keys(branches).length, said };
        }),
      );
    });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

async function waitFor<T>(what: string, ask: () => Promise<T | undefined | false>): Promise<T> {
  for (const deadline = performance.now() + patienceMs; ; await delay(100)) {
    const found = await ask();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > deadline) assert.fail(`Waited ${patienceMs / 1000} s for ${what}, in vain.`);
  }
}
