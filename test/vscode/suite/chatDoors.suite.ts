import { after, before, describe, it } from 'mocha';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ConfigurationTarget, commands, lm, workspace, type LanguageModelTextPart } from 'vscode';
import { modelVendor } from '../../../src/vscode/contributions.ts';
import { scriptedServer, type SeenChat } from '../../clients/scriptedServer.ts';
import { FakeLlamaServer } from '../../fakes/fakeLlamaServer.ts';
import { isNightly } from '../../support/nightly.ts';
import {
  chatAnswers,
  newChat,
  patienceMs,
  say as answered,
  waitFor,
  withModelOf,
  write,
  type ChatResult,
} from './chatView.ts';
import { ChatStorage, Conversation, doors, errandsIn, lastResult, strangeErrands } from './conversation.ts';
import { done, set, state, useFreshStorage } from './support.ts';

/** Titles and progress messages come from the model of the conversation, as from that of somebody who signed in. */
const utilityDefault = 'chat.byokUtilityModelDefault';

/** Agent mode sends 40 tools of 55,000 characters: minutes for a model without a GPU, so that a server without a model answers. */
describe("agent mode of the editor's own chat, with nobody signed in", function () {
  this.timeout(4 * patienceMs);
  const cleanUps: (() => Promise<unknown>)[] = [];
  let engine: string;
  let gatewayPort: number;
  let storage: Awaited<ReturnType<typeof useFreshStorage>>;
  let kept: ChatStorage;
  let seen: SeenChat[];

  before(async () => {
    storage = await useFreshStorage();
    const slotDir = mkdtempSync(path.join(tmpdir(), 'cwm-slots-'));
    cleanUps.push(async () => rmSync(slotDir, { recursive: true, force: true }));
    const faults = { model: 'gemma', contextTokens: 2_000_000, answer: [...Buffer.from('Red.'), 257] };
    const fake = await FakeLlamaServer.start({ slotDir, slots: 1, faults });
    cleanUps.push(() => fake.stop());
    const [folder] = workspace.workspaceFolders ?? [];
    const file = path.join(folder?.uri.fsPath ?? '', 'README.md');
    const front = await scriptedServer(() => fake.url, cleanUps, { file });
    ({ seen } = front);
    engine = `${front.url}#slots=${slotDir}`;
    gatewayPort = await freePort();
    await set('cwm.gateway.port', gatewayPort);
    await set('cwm.engine', engine);
    await workspace.getConfiguration().update(utilityDefault, 'mainAgent', ConfigurationTarget.Global);
    kept = new ChatStorage(storage.path);
    await chatAnswers();
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
    await answered('@window /status');
    assert.equal(state().connection.kind, 'connected');
  });

  for (const { vendor, name } of doors) {
    // One door in every run, since each takes half a minute.
    (vendor === modelVendor || isNightly ? it : it.skip)(
      `V8 two turns, a call of a tool, a restart of the backend and one more turn by ${name} are one session of the folder`,
      async () => {
        if (vendor === 'customendpoint') await kept.connectCustomEndpoint(engine);
        await newChat();
        const chat = new Conversation(kept, vendor);
        const before = seen.length;
        await chat.say(`Say hi to ${vendor}`);
        await chat.say(`And again to ${vendor}`);
        await chat.say(`USETOOL please, ${vendor}`);
        assert.equal(seen.slice(before).filter(({ isScripted }) => isScripted).length, 1, 'The model calls one tool.');
        assert.match(lastResult(seen), /Orchard|README|#/i);
        const { id } = await chat.session();
        await kept.restartBackend(vendor, gatewayPort);
        await chat.say(`Once more to ${vendor}`);
        assert.equal((await chat.session()).id, id);
      },
    );
  }

  it('V8 @window does each of its commands in the chat', async () => {
    // In a chat without a conversation with a model, they work on the current session.
    await newChat();
    const session = await done('cwm.newSession', { title: 'for the chat' });
    await done('cwm.send', { session: session.id, text: 'Say something.' });
    const say = async (words: string): Promise<unknown> => {
      const { metadata } = await answered(`@window ${words}`);
      return metadata?.window;
    };
    assert.equal(await say('/status'), null);
    assert.equal(await say('/freeze lunch'), 'lunch');
    assert.equal(await say('/clone lunch copy'), 'copy');
    assert.equal(await say('/thaw lunch'), 'lunch');
    assert.equal(await say('/why lunch'), 'lunch');
    assert.equal(await say('/branch aside'), null);
    const [branches, windows] = await kept.backend(async (client) => {
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
      kept.backend(async (client) => (await client.call('listWindows', {})).items.map(({ name }) => name).toSorted());
    const listed = await agent('USETOOL:window_list {}');
    assert.equal(listed.type, undefined, JSON.stringify(listed));
    assert.match(lastResult(seen), /copy/);
    const asks = await agent('USETOOL:window_delete {"window_name":"copy"}');
    assert.deepEqual([asks.type, asks.toolId], ['confirmation', 'cwm_window_delete']);
    assert.deepEqual(await windowsLeft(), ['copy', 'lunch']);
    await commands.executeCommand('workbench.action.chat.acceptTool');
    await waitFor('the window to be deleted', async () => (await windowsLeft()).join() === 'lunch');
    await waitFor('the model to hear of it', async () => /blocks_deleted/.test(lastResult(seen)));
  });

  it('V8 VS Code lists the MCP server of the extension, starts it, and its tools work', async () => {
    await set('cwm.chatTools', 'mcp');
    const mcpTool = () => lm.tools.find(({ name }) => /^mcp_.*window_list$/.test(name))?.name;
    const listed = await agent('USETOOL:window_list {}');
    assert.equal(listed.type, undefined, JSON.stringify(listed));
    assert.match(lastResult(seen), /lunch/);
    const name = mcpTool() ?? assert.fail(`VS Code has these tools: ${lm.tools.map((each) => each.name).join(', ')}`);
    assert.equal(
      seen.some(({ chat }) => chat.tools?.some((each) => each.function.name === name)),
      true,
    );
    const { content } = await lm.invokeTool(name, { input: {}, toolInvocationToken: undefined });
    assert.match((content as LanguageModelTextPart[]).map(({ value }) => value).join(), /lunch/);
  });

  it('V8 a delete over MCP that an agent calls waits for a person, and who skips it keeps the window', async () => {
    const asks = await agent('USETOOL:window_delete {"window_name":"lunch"}');
    assert.equal(asks.type, 'confirmation', JSON.stringify(asks));
    assert.match(asks.toolId ?? '', /^mcp_.*window_delete$/);
    const heard = lastResult(seen);
    await commands.executeCommand('workbench.action.chat.skipTool');
    await waitFor('the model to hear of it', async () => lastResult(seen) !== heard);
    const windows = await kept.backend((client) => client.call('listWindows', {}));
    assert.ok(windows.items.some(({ name }) => name === 'lunch'));
  });

  it('V8 what the chat asks for on its own account, as titles and progress messages, are turns of no session', async () => {
    assert.deepEqual(strangeErrands(seen), [], 'VS Code asks for something that nobody here knows.');
    assert.deepEqual(errandsIn(seen, await kept.sessions()), []);
  });

  /** Writes in a conversation of its own with the model of the extension. */
  async function agent(query: string): Promise<ChatResult> {
    await newChat();
    return await write(query, await withModelOf(modelVendor));
  }
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}
