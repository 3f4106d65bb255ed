import { CwmError } from '../../../protocol/errors.ts';
import { conversationFormats, type ConversationFormat } from '../../../protocol/settings/conversationFormats.ts';
import { readChatContext } from './chatContext.ts';
import { readClaudeCode } from './claudeCode.ts';
import { readCwindow } from './cwindow.ts';
import { readOpenAi } from './openAi.ts';
import type { ReadConversation, ReadFormat } from './said.ts';
import { readShareGpt } from './shareGpt.ts';
import { readVscodeChat } from './vscodeChat.ts';

/** In the order in which they are tried. Each returns null for what is not of its format. */
const readers: Readonly<Record<ConversationFormat, ReadFormat>> = {
  cwindow: readCwindow,
  openai: readOpenAi,
  sharegpt: readShareGpt,
  vscode: readVscodeChat,
  'chat-context': readChatContext,
  'claude-code': readClaudeCode,
};

/**
 * A conversation that another program wrote.
 *
 * @param format default: the first one that fits.
 * @throws CwmError InvalidParameter for a text that is of no known format, holds several conversations, or nothing that was said.
 */
export function readConversation(
  text: string,
  format?: ConversationFormat,
): ReadConversation & { readonly format: ConversationFormat } {
  const documents = jsonDocuments(text);
  for (const tried of format === undefined ? conversationFormats : [format]) {
    const read = readers[tried](documents);
    if (!read) continue;
    if (read.said.length === 0) throw new CwmError('InvalidParameter', 'There is no message in the file.');
    return { ...read, format: tried };
  }
  const wanted = format === undefined ? 'of a known format' : `of the format ${format}`;
  throw new CwmError('InvalidParameter', `The file is not ${wanted}.`, {
    hint: knownFormats,
  });
}

const knownFormats = `Known formats: ${conversationFormats.join(', ')}. What was exported as Markdown is only to read.`;

/** The one JSON value, or a value for each line. @throws CwmError InvalidParameter. */
function jsonDocuments(text: string): readonly unknown[] {
  const trimmed = text.replace(/^\ufeff/, '').trim();
  try {
    return [JSON.parse(trimmed)];
  } catch (whole) {
    const lines = trimmed.split(/\r?\n/).filter((line) => line.trim() !== '');
    try {
      return lines.map((line) => JSON.parse(line) as unknown);
    } catch {
      throw new CwmError(
        'InvalidParameter',
        `The file is neither JSON nor JSON in lines (${(whole as Error).message}).`,
        { hint: knownFormats },
      );
    }
  }
}
