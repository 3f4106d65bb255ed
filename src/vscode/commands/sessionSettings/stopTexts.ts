import { window } from 'vscode';
import { commandTitles } from '../../contributions.ts';

const title = commandTitles['cwm.sessionSettings'];
const add = 'Add a Stop Text…';

/** The texts that end answers, with one added or removed; undefined: no change. */
export async function askStops(before: readonly string[]): Promise<readonly string[] | undefined> {
  const rows = [
    { label: add, stop: null },
    ...before.map((stop) => ({ label: `Remove ${JSON.stringify(stop)}`, stop })),
  ];
  const chosen =
    before.length === 0
      ? rows[0]
      : await window.showQuickPick(rows, {
          title,
          placeHolder: 'Texts that end an answer; they are no part of it',
          ignoreFocusOut: true,
        });
  if (!chosen) return undefined;
  if (chosen.stop !== null) return before.filter((stop) => stop !== chosen.stop);
  const typed = await window.showInputBox({
    title,
    ignoreFocusOut: true,
    prompt: 'A text that ends answers. "\\n" is the end of a line, and "\\t" a tab.',
    validateInput: (value) => (value === '' ? 'Enter a text.' : null),
  });
  return typed === undefined ? undefined : [...new Set([...before, withEnds(typed)])];
}

const ends: Readonly<Record<string, string>> = { n: '\n', t: '\t', '\\': '\\' };

/** A box for text has one line. */
const withEnds = (typed: string): string => typed.replaceAll(/\\([nt\\])/g, (_, mark: string) => ends[mark] ?? mark);
