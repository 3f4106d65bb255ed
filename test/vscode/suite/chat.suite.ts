import { after, before, describe, it } from 'mocha';
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { LanguageModelChatMessage, lm, type LanguageModelChatResponse, type LanguageModelTextPart } from 'vscode';
import { mainToolNames } from '../../../src/agent/toolNames.ts';
import { chatToolName, modelVendor } from '../../../src/vscode/contributions.ts';
import { done, set, state, until, useFreshStorage } from './support.ts';

/** With the AI features of the editor on: nobody signs in, and no model is there, so that VS Code hands nothing to a participant. */
describe("the editor's own chat", function () {
  this.timeout(120_000);
  let storage: Awaited<ReturnType<typeof useFreshStorage>>;
  before(async () => {
    storage = await useFreshStorage();
    await set('cwm.embedded.threads', 1);
  });
  after(() => storage.remove());

  it('V8 has a model to pick over a new storage, and its first message starts the backend', async () => {
    const [model] = await some('models', async () => lm.selectChatModels({ vendor: modelVendor }));
    assert.ok(model);
    const few = { modelOptions: { max_tokens: 2 } };
    await textOf(await model.sendRequest([LanguageModelChatMessage.User('The first.')], few));
    assert.equal(state().connection.kind, 'connected');
  });

  it('V8 S0-01 offers the twelve operations to agents as tools', async () => {
    const names = await until('the tools', () => {
      const found = lm.tools.map(({ name }) => name).filter((name) => name.startsWith('cwm_'));
      return found.length > 0 && found;
    });
    assert.deepEqual(names.sort(), mainToolNames.map(chatToolName).sort());
  });

  it('V8 S0-13 a tool answers from the backend that the editor uses', async () => {
    const session = await done('cwm.newSession', { title: 'for an agent' });
    assert.deepEqual(
      (await sessionsOf({ search: 'for an agent' })).map(({ session_id, title }) => [session_id, title]),
      [[session.id, 'for an agent']],
    );
  });

  it("V8 a conversation with the model server's model in the editor's chat is one session, with nobody signed in", async () => {
    const [model] = await some('models', async () => lm.selectChatModels({ vendor: modelVendor }));
    assert.ok(model && model.maxInputTokens > 0);
    assert.ok((await model.countTokens('Hello.')) > 0);
    // The model of the embedded engine ends no answer by itself.
    const few = { modelOptions: { max_tokens: 8 } };
    const turns = [LanguageModelChatMessage.User('Say hi.')];
    turns.push(LanguageModelChatMessage.Assistant(await textOf(await model.sendRequest(turns, few))));
    const [first] = await some('a session', () => sessionsOf({ search: 'Say hi' }));
    turns.push(LanguageModelChatMessage.User('And again.'));
    assert.notEqual(await textOf(await model.sendRequest(turns, few)), '');
    const longer = await some('the second turn', async () => {
      const found = await sessionsOf({ search: 'Say hi' });
      return found.some(({ token_count }) => token_count > (first?.token_count ?? 0)) ? found : [];
    });
    assert.deepEqual(
      longer.map(({ session_id }) => session_id),
      [first?.session_id],
    );
  });

  it('S0-71 a tool that fails says our sentence, code and hint', async () => {
    const call = lm.invokeTool('cwm_window_status', {
      input: { window_name: 'no-such-window' },
      toolInvocationToken: undefined,
    });
    await assert.rejects(Promise.resolve(call), /CWM-2002/);
  });
});

interface Listed {
  readonly session_id: string;
  readonly title: string;
  readonly token_count: number;
}

async function sessionsOf(input: object): Promise<Listed[]> {
  const { content } = await lm.invokeTool('cwm_session_list', { input, toolInvocationToken: undefined });
  const [part] = content as LanguageModelTextPart[];
  const { sessions } = JSON.parse(part?.value ?? '{}') as { sessions: Listed[] };
  return sessions;
}

async function textOf({ text }: LanguageModelChatResponse): Promise<string> {
  let whole = '';
  for await (const piece of text) whole += piece;
  return whole;
}

/** Asks until the answer has something. */
async function some<T>(what: string, ask: () => Promise<readonly T[]>): Promise<readonly T[]> {
  for (const deadline = performance.now() + 30_000; ; await delay(50)) {
    const found = await ask();
    if (found.length > 0) return found;
    if (performance.now() > deadline) assert.fail(`Waited 30 s for ${what}, in vain.`);
  }
}
