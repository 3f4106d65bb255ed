import type { CompressionLevel, Modality } from '../../protocol/memory/page.ts';
import type { Message } from '../../protocol/schemas/session.ts';
import { extractSummary } from './segments/extract.ts';
import { partLine } from '../prompt/messageParts.ts';
import { hintOf, textOf } from './page.ts';

/** Makes a shorter text of a message's; the message stays as it is. */
export type Compressor = (message: Message, level: Exclude<CompressionLevel, 0>) => string;

/** An abstract has at most about 200 tokens, and a reference 50 (S1-46). */
const abstractCharacters = 700;

const compressText: Compressor = (message, level) => {
  const text = textOf(message);
  switch (level) {
    case 1:
      return extractSummary([message], text.length / 2) || text.slice(0, text.length / 2).toWellFormed();
    case 2:
      return extractSummary([message], abstractCharacters) || text.slice(0, abstractCharacters).toWellFormed();
    case 3:
      return hintOf(message);
  }
};

/** What was written beside a picture says what it shows; without that, its kind does. */
const compressImage: Compressor = (message, level) => {
  const { content } = message;
  const media = content.type === 'text' ? (content.media ?? []) : [];
  const pictures = media.map(({ mediaType, sizeBytes }) => `[IMAGE: ${mediaType}, ${sizeBytes} bytes]`);
  return [...pictures, compressText(message, level)].join(' ');
};

/** What was said beside a sound, a video or a file is shortened; the line that says what it was stays, its length and its hash with it. */
const compressParts: Compressor = (message, level) => {
  const { content } = message;
  if (content.type !== 'text' || !content.parts) return compressText(message, level);
  const { parts, ...rest } = content;
  const lines = parts.map(partLine);
  return [...lines, ...(content.text === '' ? [] : [compressText({ ...message, content: rest }, level)])].join('\n');
};

/** The compressor of each modality. */
export const builtInCompressors: Readonly<Record<Modality, Compressor>> = {
  text: compressText,
  structured: compressParts,
  image: (message, level) => (hasParts(message) ? compressParts : compressImage)(message, level),
  audio: compressParts,
  video: compressParts,
};

const hasParts = ({ content }: Message): boolean => content.type === 'text' && content.parts !== undefined;

/** The text of a message at a level; one that would be longer than the whole text is the whole text, at level 0. */
export function compressed(
  compressors: Readonly<Record<Modality, Compressor>>,
  message: Message,
  modality: Modality,
  level: CompressionLevel,
): { readonly text: string; readonly level: CompressionLevel } {
  const whole = textOf(message);
  if (level === 0) return { text: whole, level };
  const text = compressors[modality](message, level);
  return text.length < whole.length ? { text, level } : { text: whole, level: 0 };
}
