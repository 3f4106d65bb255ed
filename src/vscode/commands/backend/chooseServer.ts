import { readableLine } from '../../../base/readableText.ts';
import { QuickPickItemKind, window, type QuickPickItem } from 'vscode';
import { firstReceipt } from '../../../client/firstReceipt.ts';
import { CwmError, toCwmError } from '../../../protocol/errors.ts';
import type { Discovery } from '../../../protocol/schemas/discovery.ts';
import { engineOptions, engineGroupTitles, nothingFound, type EngineOption } from '../../../words/discovery.ts';
import { engineOfSetting } from '../../settings/engineSpec.ts';
import type { App } from '../../app.ts';
import { commandTitles } from '../../contributions.ts';
import { useEngine } from '../../settings/useEngine.ts';
import { showDoneWith } from '../../ui/notifications.ts';
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
    const receipt = await firstReceipt((name, input) => app.connection.call(name, input, call), engine).catch(
      (error: unknown) => {
        throw untried(engine, toCwmError(error));
      },
    );
    // The folders behind a "#" are found again by themselves and would fill the message.
    const shown = engine.replace(/#.*$/s, '');
    showDoneWith(app, `New sessions use ${shown}. Its first receipt: ${receipt.summary}`, 'cwm.newSession');
    return undefined;
  },
});

/** The choice holds all the same: the server may only not have been started. A user who cancels the trial needs no message. */
function untried(engine: string, error: CwmError): CwmError {
  if (error.name === 'Cancelled') return error;
  const { name, message, hint, context } = error;
  const said = `New sessions use ${engine}, but it could not be tried. ${message}`;
  return new CwmError(name, said, { hint, cause: error, ...(context !== undefined && { context }) });
}

type EngineItem = QuickPickItem & Partial<Pick<EngineOption, 'spec'>>;

async function pickEngine(app: App): Promise<string | undefined> {
  const baseUrl = process.env['OPENAI_BASE_URL'];
  const items = app.connection
    .call('discover', baseUrl === undefined ? {} : { baseUrl })
    .then((found) => engineItems({ ...found, defaultEngine: engineOfSetting() ?? found.defaultEngine }));
  const picked = await window.showQuickPick(items, {
    title: commandTitles['cwm.chooseServer'],
    placeHolder: 'Model servers and model files on this machine',
    matchOnDescription: true,
  });
  if (picked !== another) return picked?.spec;
  const typed = await window.showInputBox({
    title: commandTitles['cwm.chooseServer'],
    prompt: 'The URL of a model server, or "embedded:FILE" for a GGUF file.',
    value: 'http://localhost:8000',
    validateInput: (value) =>
      /^(embedded(:.+)?|https?:\/\/.+)$/.test(value.trim()) ? null : 'Enter a URL, "embedded" or "embedded:FILE".',
  });
  return typed?.trim();
}

const another: EngineItem = { label: 'Another…', description: 'enter a URL or a file' };

/** Grouped, with a line that says so where nothing was found. */
function engineItems(found: Discovery): EngineItem[] {
  const choices = engineOptions(found);
  const groups = Map.groupBy(choices, ({ group }) => group);
  const nothing = nothingFound(found);
  const items = [...groups].flatMap(([group, members]): EngineItem[] => [
    { label: engineGroupTitles[group], kind: QuickPickItemKind.Separator },
    ...members.map(({ spec, label, description, detail }) => ({
      spec,
      label: readableLine(label),
      description: readableLine(description),
      detail: readableLine(detail),
    })),
  ]);
  return [...items, nothing === null ? another : { ...another, detail: nothing }];
}
