import { after, before, describe, it } from 'mocha';
import assert from 'node:assert/strict';
import { commands } from 'vscode';
import { floor } from '../../clients/floor.ts';
import { isRunning } from '../../support/isRunning.ts';
import { toldChat } from '../chatPlace.ts';
import { beginChat, saidBefore, tellOfFailures, tools } from './chatBegin.ts';
import { patienceMs, waitFor, withModelOf, write } from './chatView.ts';
import { Conversation, errandsIn, strangeErrands } from './conversation.ts';
import { extension, until } from './support.ts';

/** Of a sliding window, the last tokens are computed again. */
const windowTokens = 64;
/** How long the model server takes to load the KV of a frozen session. */
const slowThawMs = 15_000;

/** VS Code and with it the backend have ended; the profile, the storage directory and the model server are those of `chatTalk`. */
describe(`VS Code's chat on a real model by ${toldChat()?.vendor}, in a window that is opened again`, function () {
  this.timeout(4 * patienceMs);
  const cleanUps: (() => Promise<unknown>)[] = [];
  let at: Awaited<ReturnType<typeof beginChat>>;
  let chat: Conversation;
  let session: string;

  before(async () => {
    at = await beginChat(cleanUps);
    await until('the extension to start by itself', () => extension().isActive);
    if (at.vendor === 'customendpoint') await at.kept.untilGatewayListens(at.gatewayPort);
    chat = new Conversation(at.kept, at.vendor, { texts: saidBefore, ...tools });
  });
  after(async () => {
    for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  });
  tellOfFailures(() => at);

  it('V8 the model is there without a command, and the next turn is one of the same session', async () => {
    await chat.say('Where the window is new');
    ({ id: session } = await chat.session());
  });

  it('V8 after a freeze and kill -9 of the model server, the next turn waits for a thaw of 15 s and reuses what its prompt has in common with those before', async () => {
    const { kept, server, scripted, seen, vendor } = at;
    await kept.backend((client) => client.call('freeze', { session, window: 'pears' }));
    process.kill(server.pid, 'SIGKILL');
    await until('the model server to be gone', () => !isRunning(server.pid));
    await waitFor('the model server to be started again', () =>
      fetch(`${server.url}/health`).then(
        ({ ok }) => ok,
        () => false,
      ),
    );
    scripted.holdRestoreMs = slowThawMs;
    const before = seen.filter(({ isScripted, promptTokens }) => !isScripted && promptTokens !== null);
    const since = seen.length;
    await chat.say('After the thaw');
    scripted.holdRestoreMs = 0;
    assert.equal((await chat.session()).id, session);
    const turn = seen.slice(since).find((each) => JSON.stringify(each.chat.messages).includes('After the thaw'));
    assert.ok(turn, 'The model server is asked.');
    const common = await floor(server.url, turn, before);
    console.log(
      `${vendor}: ${turn.promptTokens} prompt tokens, ${common} of them computed before, ${turn.cachedTokens} reused after kill -9`,
    );
    assert.ok(
      common > 0.8 * (turn.promptTokens ?? Infinity),
      `${common} of ${turn.promptTokens} tokens are in common.`,
    );
    assert.ok(
      (turn.cachedTokens ?? 0) >= common - windowTokens,
      `${turn.cachedTokens} tokens of ${common} are reused.`,
    );
  });

  it('V8 the stop button leaves the model server, and keeps the part that was answered', async () => {
    const { kept, seen, vendor } = at;
    const stopped = write('SLOWLY please', { ...(await withModelOf(vendor)), ...tools });
    const slow = await waitFor('the slow answer to begin', async () => seen.find(({ words }) => words > 3));
    await commands.executeCommand('workbench.action.chat.cancel');
    await stopped;
    await waitFor('the model server to be left', async () => slow.leftMs !== null);
    await waitFor('what was answered until then', async () =>
      (await kept.sessions())
        .find(({ id }) => id === session)
        ?.said.some((line) => line.startsWith('assistant (stopped): word1 word2')),
    );
  });

  it('V8 an edited message is a branch of the same session, with what was said before it', async () => {
    const { kept, vendor } = at;
    await commands.executeCommand('workbench.action.chat.previousUserPrompt');
    await commands.executeCommand('workbench.action.chat.undoEdits');
    await write('Another way', { ...(await withModelOf(vendor)), ...tools });
    const texts = [...saidBefore, 'Where the window is new', 'After the thaw', 'SLOWLY please', 'Another way'];
    const forked = await waitFor('the branch', async () => {
      const found = await kept.sessions();
      return found.some(({ id, branches }) => id === session && branches === 2) && found;
    });
    assert.deepEqual(
      forked
        .filter(({ said }) => said.some((line) => line.startsWith('user') && texts.some((text) => line.includes(text))))
        .map(({ id }) => id),
      [session],
    );
    const said = forked.find(({ id }) => id === session)?.said ?? [];
    const onMain = texts.filter((text) => said.some((line) => line.startsWith('user') && line.includes(text)));
    // The list has the current branch, which is either of the two.
    assert.deepEqual(
      onMain.slice(0, -1),
      texts.slice(0, -2),
      'The branch has what was said before the edited message.',
    );
  });

  it('V8 what VS Code asked for beside the conversation is a turn of no session', async () => {
    assert.deepEqual(strangeErrands(at.seen), [], 'VS Code asks for something that nobody here knows.');
    assert.deepEqual(errandsIn(at.seen, await at.kept.sessions()), []);
  });
});
