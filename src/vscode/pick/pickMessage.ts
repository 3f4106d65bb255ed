import { type QuickPickItem, ThemeIcon, window } from 'vscode';
import type { FoundMessage } from '../../protocol/schemas/search.ts';
import { toCwmError } from '../../protocol/errors.ts';
import { formatStamp } from '../../words/amounts.ts';
import { foundWhere, markedExcerpt, nothingFound } from '../../words/search.ts';
import type { App } from '../app.ts';
import { commandTitles } from '../contributions.ts';

type MessageItem = QuickPickItem & { readonly found?: FoundMessage };

/** Between two keys of a person who types. */
const quietMs = 150;
const mostShown = 50;

/** Lets the user search while they type, and pick what was found. @param text what is searched for first. */
export async function pickMessage(app: App, text: string): Promise<FoundMessage | undefined> {
  const picker = window.createQuickPick<MessageItem>();
  picker.title = commandTitles['cwm.search'];
  picker.placeholder = 'Words that were said in any conversation; "in quotes": one after another';
  picker.value = text;
  let timer: NodeJS.Timeout | undefined;
  let running = new AbortController();
  const search = async (): Promise<void> => {
    running.abort();
    running = new AbortController();
    const { signal } = running;
    if (picker.value.trim() === '') {
      picker.items = [];
      return;
    }
    picker.busy = true;
    const items = await itemsFor(app, picker.value, signal);
    if (signal.aborted) return;
    picker.items = items;
    picker.busy = false;
  };
  picker.onDidChangeValue(() => {
    clearTimeout(timer);
    timer = setTimeout(() => void search(), quietMs);
  });
  try {
    return await new Promise((resolve) => {
      picker.onDidAccept(() => {
        const found = picker.selectedItems[0]?.found;
        if (found) resolve(found);
      });
      picker.onDidHide(() => resolve(undefined));
      picker.show();
      void search();
    });
  } finally {
    clearTimeout(timer);
    running.abort();
    picker.dispose();
  }
}

async function itemsFor(app: App, text: string, signal: AbortSignal): Promise<MessageItem[]> {
  try {
    const { items, total } = await app.connection.call('searchMessages', { text, limit: mostShown }, { signal });
    if (total === 0) return [note(nothingFound)];
    return items.map((found) => ({
      label: markedExcerpt(found.excerpt, '', ''),
      description: formatStamp(found.createdAt),
      detail: foundWhere(found),
      iconPath: new ThemeIcon(found.role === 'user' ? 'account' : 'comment'),
      // The backend has matched it; VS Code would look for the words as they were typed.
      alwaysShow: true,
      found,
    }));
  } catch (error) {
    return [note(toCwmError(error).message)];
  }
}

const note = (label: string): MessageItem => ({ label, iconPath: new ThemeIcon('info'), alwaysShow: true });
