import { after, before, describe, it } from 'mocha';
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { beginChat, saidBefore, tellOfFailures, tools } from './chatBegin.ts';
import { newChat, patienceMs, waitFor } from './chatView.ts';
import { Conversation, errandKinds, errandsIn, errandsOf, lastResult, strangeErrands } from './conversation.ts';
import { toldChat } from '../chatPlace.ts';
import { done } from './support.ts';

/** The window closes with the last test; `chatBack` is the next one over its profile. */
describe(`VS Code's chat on a real model by ${toldChat()?.vendor}, in a first window`, function () {
  this.timeout(4 * patienceMs);
  const cleanUps: (() => Promise<unknown>)[] = [];
  let at: Awaited<ReturnType<typeof beginChat>>;

  before(async () => {
    at = await beginChat(cleanUps);
    // Before a backend ran, one model stands for those of the model server.
    await done('cwm.status', {});
  });
  after(async () => {
    for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  });
  tellOfFailures(() => at);

  it('V8 two turns, a call of a tool, a restart of the backend and one more turn are one session of the folder', async () => {
    const { vendor, kept, seen, frontPort, slotDir, gatewayPort } = at;
    if (vendor === 'customendpoint') await kept.connectCustomEndpoint(`http://127.0.0.1:${frontPort}#slots=${slotDir}`);
    await newChat();
    const chat = new Conversation(kept, vendor, tools);
    const [first, second, tool, restarted] = saidBefore;
    for (const text of [first, second, tool]) await chat.say(text);
    assert.equal(seen.filter(({ isScripted }) => isScripted).length, 1, 'The model calls one tool.');
    assert.match(lastResult(seen), /Orchard|README|#/i);
    const { id } = await chat.session();
    await kept.restartBackend(vendor, gatewayPort);
    await chat.say(restarted);
    assert.equal((await chat.session()).id, id);
    const turn = seen.findLast(({ chat: { tools = [] } }) => tools.length > 0);
    console.log(
      `${vendor}: ${turn?.chat.tools?.length} tools, ${turn?.promptTokens} prompt tokens, ${turn?.cachedTokens} reused after the restart`,
    );
  });

  it('V8 VS Code asks for a title and progress messages beside the conversation, which are turns of no session', async () => {
    const { seen, kept } = at;
    const kinds = Object.entries(errandKinds).filter(([, words]) =>
      errandsOf(seen).some(({ chat }) => words.test(JSON.stringify(chat.messages))),
    );
    console.log(`VS Code asked ${errandsOf(seen).length} times for: ${kinds.map(([name]) => name).join(', ')}`);
    assert.deepEqual(
      kinds.map(([name]) => name),
      Object.keys(errandKinds),
    );
    assert.deepEqual(strangeErrands(seen), [], 'VS Code asks for something that nobody here knows.');
    assert.deepEqual(errandsIn(seen, await kept.sessions()), []);
  });

  it('VS Code has written the conversation, so that the window may close', async () => {
    const [, , , last] = saidBefore;
    await waitFor('the file of the conversation', async () =>
      globSync('workspaceStorage/*/chatSessions/*', { cwd: at.userFolder }).some((file) =>
        readFileSync(path.join(at.userFolder, file), 'utf8').includes(last),
      ),
    );
  });
});
