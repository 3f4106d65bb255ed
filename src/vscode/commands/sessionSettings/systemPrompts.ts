import { type QuickPickItem, window } from 'vscode';
import { readableLine } from '../../../base/readableText.ts';
import type { App } from '../../app.ts';
import { commandTitles } from '../../contributions.ts';
import { changeText } from '../../pick/changeText.ts';
import { showDone } from '../../ui/notifications.ts';
import { command } from '../command.ts';

interface Request {
  readonly id: string;
  /** Null: it is deleted. */
  readonly text: string | null;
}

/** Creates, changes or deletes a named system prompt. Sessions that have it retain the text that they took. */
export const systemPrompts = command('cwm.systemPrompts', {
  async ask(app, { prompt, text }): Promise<Request | undefined> {
    if (prompt !== undefined && text !== undefined) return { id: prompt, text };
    const chosen = await pickExisting(app, []);
    if (chosen === undefined) return undefined;
    return chosen === null ? askNew() : askWhat(chosen);
  },
  async perform(app, { id, text }: Request) {
    if (text === null) await app.connection.call('deletePrompt', { prompt: id });
    else await app.connection.call('putPrompt', { prompt: id, text });
    return undefined;
  },
  show: (app, _, { id, text }) =>
    showDone(app, text === null ? `Deleted the system prompt ${id}.` : `Stored the system prompt ${id}.`),
});

/** An existing prompt, or a new one that the user types. @param first rows before them. */
export async function pickPrompt(
  app: App,
  first: readonly { readonly label: string; readonly id: string }[] = [],
): Promise<string | undefined> {
  const chosen = await pickExisting(app, first);
  if (chosen !== null) return chosen?.id;
  const made = await askNew();
  return made && (await app.connection.call('putPrompt', { prompt: made.id, text: made.text ?? '' })).id;
}

/** Null: a new one. */
async function pickExisting(
  app: App,
  first: readonly { readonly label: string; readonly id: string }[],
): Promise<{ readonly id: string; readonly text?: string } | null | undefined> {
  const { items } = await app.connection.call('listPrompts', {});
  const known = items.map((prompt) => ({
    label: prompt.id,
    description: readableLine(prompt.text.slice(0, 80)) || 'empty',
    prompt,
  }));
  const rows: (QuickPickItem & { prompt: { readonly id: string; readonly text?: string } | null })[] = [
    ...first.map(({ label, id }) => ({ label, prompt: { id } })),
    ...known,
    { label: 'New System Prompt…', prompt: null },
  ];
  return (await window.showQuickPick(rows, { placeHolder: 'Select a system prompt' }))?.prompt;
}

const title = commandTitles['cwm.systemPrompts'];

const askNew = async (): Promise<(Request & { readonly text: string }) | undefined> => {
  const id = await window.showInputBox({ title, prompt: 'A name: letters, digits, "_" and "-".' });
  const text = id === undefined ? undefined : await askPrompt('');
  return id === undefined || text === undefined ? undefined : { id, text };
};

const askPrompt = async (value: string): Promise<string | undefined> =>
  window.showInputBox({ title, prompt: 'The prompt.', value });

async function askWhat({
  id,
  text = '',
}: {
  readonly id: string;
  readonly text?: string;
}): Promise<Request | undefined> {
  const next = await changeText({
    title,
    name: `The system prompt ${id}`,
    text,
    deletion: { label: 'Delete', description: 'to the trash; sessions that have it retain its text' },
    ask: askPrompt,
  });
  return next === undefined ? undefined : { id, text: next };
}
