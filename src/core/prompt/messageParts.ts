import { formatBytes, formatCount } from '../../base/format.ts';
import { sha256Hex } from '../../base/hash.ts';
import { bytesIn } from '../ports/openAiMessages.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { MessagePart } from '../../protocol/schemas/session.ts';
import type { JsonObject } from '../../protocol/schemas/tracker.ts';

/** Of one message, in bytes; in base64 they fit into the body of one request. */
const mostBytesTogether = 10 * 1024 * 1024;
/** Levels of a part that are looked at. */
const deepest = 3;
/** Of what names a part that has no bytes, in characters. */
const longestName = 80;

/** A content part of chat completions that is no text, and how many characters of the message's text stand in front of it. */
export interface GivenPart {
  readonly part: JsonObject;
  readonly at: number;
}

/**
 * Parts of a message as another program wrote them, as they are stored.
 *
 * @throws CwmError InvalidParameter for more than 10 MiB in one message.
 */
export function readParts(given: readonly GivenPart[]): MessagePart[] {
  const parts = given.map(readPart);
  const together = parts.reduce((sum, { sizeBytes, part }) => sum + (sizeBytes ?? JSON.stringify(part).length), 0);
  if (together <= mostBytesTogether) return parts;
  throw new CwmError(
    'InvalidParameter',
    `The parts of a message have ${formatBytes(together)}; one message takes ${formatBytes(mostBytesTogether)}.`,
  );
}

function readPart({ part, at }: GivenPart): MessagePart {
  const type = typeOf(String(part['type']));
  const found = bytesIn(part);
  if (!found) return { type, mediaType: null, sha256: sha256Hex(JSON.stringify(part)), sizeBytes: null, at, part };
  const bytes = Buffer.from(found.base64, 'base64');
  const { mediaType = found.format === undefined ? null : `${type}/${found.format}` } = found;
  const durationSeconds = type === 'audio' ? wavSeconds(bytes) : null;
  return {
    type,
    mediaType,
    sha256: sha256Hex(bytes),
    sizeBytes: bytes.length,
    ...(durationSeconds !== null && { durationSeconds }),
    at,
    part,
  };
}

/** As chat completions and the servers that extend them name parts. */
const typeOf = (name: string): MessagePart['type'] =>
  (['image', 'audio', 'video'] as const).find((type) => name.includes(type)) ?? 'file';

/** How long a WAV file plays, to a tenth of a second; null: it is none. */
function wavSeconds(bytes: Buffer): number | null {
  const isWav =
    bytes.length > 44 && bytes.toString('latin1', 0, 4) === 'RIFF' && bytes.toString('latin1', 8, 16) === 'WAVEfmt ';
  const bytesASecond = isWav ? bytes.readUInt32LE(28) : 0;
  return bytesASecond === 0 ? null : Math.round((10 * (bytes.length - 44)) / bytesASecond) / 10;
}

/** A part in one line, for a reader who cannot have it: what it is, how long or large, and its hash (S1-60). */
export function partLine({ type, mediaType, sizeBytes, durationSeconds, sha256, part }: MessagePart): string {
  const facts = [
    ...(mediaType === null ? [] : [mediaType]),
    ...(durationSeconds === undefined ? [] : [minutes(durationSeconds)]),
    sizeBytes === null ? `elsewhere${nameIn(part)}` : `${formatCount(sizeBytes)} bytes`,
    `sha256 ${sha256.slice(0, 12)}`,
  ];
  return `[${type.toUpperCase()}: ${facts.join(', ')}]`.replaceAll(/[\r\n]+/g, ' ');
}

const minutes = (seconds: number): string =>
  `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;

/** The URL or the id that a part without bytes has. */
function nameIn(part: unknown, levels = deepest): string {
  if (typeof part !== 'object' || part === null || levels === 0) return '';
  for (const [key, each] of Object.entries(part)) {
    if (typeof each === 'string' && key !== 'type' && each !== '')
      return ` (${each.slice(0, longestName).toWellFormed()})`;
    const found = nameIn(each, levels - 1);
    if (found !== '') return found;
  }
  return '';
}

/** A second of speech is some 25 tokens, and 16 kB where it is compressed well. */
const bytesPerToken = 640;
const fewestTokens = 64;
/** Of a part whose size or kind says nothing. */
const usualTokens = 1600;

/** What parts take in a prompt, as a guess: servers count the text alone. */
export const partTokens = (parts: readonly MessagePart[]): number =>
  parts.reduce(
    (sum, { type, sizeBytes }) =>
      sum +
      (type === 'audio' && sizeBytes !== null
        ? Math.max(fewestTokens, Math.ceil(sizeBytes / bytesPerToken))
        : usualTokens),
    0,
  );
