import { window, type QuickPickItem } from 'vscode';
import { firstReceipt } from '../../../client/firstReceipt.ts';
import { engineOptions, type EngineOption } from '../../../words/discovery.ts';
import type { App } from '../../app.ts';
import { commandTitles } from '../../contributions.ts';
import { useEngine } from '../../settings/useEngine.ts';
import { showDone } from '../../ui/notifications.ts';
import { command } from '../command.ts';

/** Finds what this machine has, sets the user's choice, and shows what its KV cache gives. */
export const chooseServer = command('cwm.chooseServer', {
  async ask(app, { engine }): Promise<{ engine: string } | undefined> {
    const chosen = engine ?? (await pickEngine(app));
    return chosen === undefined ? undefined : { engine: chosen };
  },
  progress: ({ engine }) => ({ title: `Trying the model server ${engine}` }),
  async perform(app, { engine }, call) {
    await useEngine(app.connection, engine);
    const receipt = await firstReceipt((name, input) => app.connection.call(name, input, call), engine);
    showDone(app, `New sessions use ${engine}. Its first receipt: ${receipt.summary}`);
    return undefined;
  },
});

type EngineItem = QuickPickItem & Pick<EngineOption, 'spec'>;

async function pickEngine(app: App): Promise<string | undefined> {
  const baseUrl = process.env['OPENAI_BASE_URL'];
  const items = app.connection
    .call('discover', baseUrl === undefined ? {} : { baseUrl })
    .then((found): EngineItem[] => [...engineOptions(found), anotherUrl]);
  const picked = await window.showQuickPick(items, {
    title: commandTitles['cwm.chooseServer'],
    placeHolder: 'Model servers and model files on this machine',
    matchOnDescription: true,
  });
  if (picked?.spec !== anotherUrl.spec) return picked?.spec;
  const typed = await window.showInputBox({
    title: commandTitles['cwm.chooseServer'],
    prompt: 'The URL of a model server, or "embedded:FILE" for a GGUF file.',
    value: 'http://localhost:8000',
    validateInput: (value) =>
      /^(embedded(:.+)?|https?:\/\/.+)$/.test(value.trim()) ? null : 'Enter a URL, "embedded" or "embedded:FILE".',
  });
  return typed?.trim();
}

const anotherUrl: EngineItem = { spec: '', label: 'Another…', description: 'enter a URL or a file' };
