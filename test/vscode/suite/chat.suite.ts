import { after, before, describe, it } from 'mocha';
import assert from 'node:assert/strict';
import { lm, type LanguageModelTextPart } from 'vscode';
import { mainToolNames } from '../../../src/agent/toolNames.ts';
import { chatToolName } from '../../../src/vscode/contributions.ts';
import { done, set, until, useFreshStorage } from './support.ts';

/** With the AI features of the editor on: nobody signs in, and no model is there, so that VS Code hands nothing to a participant. */
describe("the editor's own chat", function () {
  this.timeout(120_000);
  let storage: Awaited<ReturnType<typeof useFreshStorage>>;
  before(async () => {
    storage = await useFreshStorage();
    await set('cwm.embedded.threads', 1);
  });
  after(() => storage.remove());

  it('V8 S0-01 offers the twelve operations to agents as tools', async () => {
    const names = await until('the tools', () => {
      const found = lm.tools.map(({ name }) => name).filter((name) => name.startsWith('cwm_'));
      return found.length > 0 && found;
    });
    assert.deepEqual(names.sort(), mainToolNames.map(chatToolName).sort());
  });

  it('V8 S0-13 a tool answers from the backend that the editor uses', async () => {
    const session = await done('cwm.newSession', { title: 'for an agent' });
    const result = await lm.invokeTool('cwm_session_list', { input: { limit: 5 }, toolInvocationToken: undefined });
    const [part] = result.content as LanguageModelTextPart[];
    const { sessions } = JSON.parse(part?.value ?? '{}') as { sessions: { session_id: string; title: string }[] };
    assert.deepEqual(
      sessions.map(({ session_id, title }) => [session_id, title]),
      [[session.id, 'for an agent']],
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
