import { commands } from 'vscode';
import type { Block } from './pageMessages.ts';

/**
 * Stands for each "<" while VS Code renders, so that nothing of a text can be a tag, and no word in angle brackets is lost as an unknown
 * one. The page puts "<" back into what it inserts as text. Other texts cannot have it: it is no character.
 */
export const lessThan = '\uFDD0';

/** VS Code's own rendering, with the extensions of its markdown that the user has; plain text where there is none. */
export async function renderMarkdown(text: string): Promise<Block> {
  try {
    const source = text.replaceAll(lessThan, '�').replaceAll('<', lessThan);
    const html: unknown = await commands.executeCommand('markdown.api.render', source);
    if (typeof html === 'string') return { type: 'html', html };
  } catch {
    // The user has switched VS Code's markdown extension off.
  }
  return { type: 'plain', text };
}
