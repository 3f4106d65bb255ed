import { window, workspace } from 'vscode';
import { formatCount } from '../../base/format.ts';

interface Changeable {
  readonly title: string;
  /** What is changed, in words. */
  readonly name: string;
  readonly text: string;
  /** What the deletion is called, and what becomes of the text. */
  readonly deletion: { readonly label: string; readonly description: string };
  /** Asks for another text in one line. */
  readonly ask: (value: string) => Thenable<string | undefined>;
}

/** What becomes of a text. Null: it is deleted; undefined: it stays as it is. */
export async function changeText({ title, name, text, deletion, ask }: Changeable): Promise<string | null | undefined> {
  const inEditor = window.activeTextEditor?.document.getText();
  const rows = [
    // A box for text has one line.
    ...(text.includes('\n') ? [] : [{ label: 'Edit…', act: async () => ask(text) }]),
    ...(inEditor === undefined || inEditor === ''
      ? []
      : [
          {
            label: 'Replace with the Text of the Active Editor',
            description: `${formatCount(inEditor.length)} characters`,
            act: async () => inEditor,
          },
        ]),
    { label: 'Show in an Editor', act: async () => (await showText(text), undefined) },
    { ...deletion, act: async () => null },
  ];
  return (await window.showQuickPick(rows, { title, placeHolder: name }))?.act();
}

/** To be edited; "Replace with the Text of the Active Editor" stores it. */
async function showText(content: string): Promise<void> {
  await window.showTextDocument(await workspace.openTextDocument({ content, language: 'markdown' }));
}
