import { window } from 'vscode';
import type { ModelItem } from '../render/modelItems.ts';

/** Lets the user pick a model for conversations. The list stays open when the user accepts another one. */
export async function pickModel(items: readonly ModelItem[], title: string): Promise<string | undefined> {
  const pick = window.createQuickPick<ModelItem>();
  pick.title = title;
  pick.placeholder = items.some((item) => item.isForConversations)
    ? 'The model of new sessions'
    : 'The server lists no model for conversations';
  pick.matchOnDescription = true;
  pick.items = items;
  try {
    return await new Promise((resolve) => {
      pick.onDidAccept(() => {
        const chosen = pick.selectedItems[0];
        if (chosen?.isForConversations) resolve(chosen.model);
        else if (chosen) pick.placeholder = `Conversations cannot use ${chosen.label}. Select another model.`;
      });
      pick.onDidHide(() => resolve(undefined));
      pick.show();
    });
  } finally {
    pick.dispose();
  }
}
