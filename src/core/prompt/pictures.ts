import { sha256Hex } from '../../base/hash.ts';
import { formatBytes } from '../../base/format.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { Message, MessagePart, Picture } from '../../protocol/schemas/session.ts';
import type { AnswerPiece, EngineDescription, Generation } from '../ports/engine.ts';

const mostPictures = 8;
const mostBytes = 5 * 1024 * 1024;
/** Of one message; in base64 it fits into the body of one request. */
const mostBytesTogether = 10 * 1024 * 1024;

type Seen = Picture | MessagePart;

const mediaOf = ({ content }: Pick<Message, 'content'>): readonly Seen[] => {
  if (content.type !== 'text') return nothing;
  const { media, parts } = content;
  return media && parts ? [...media, ...parts] : (media ?? parts ?? nothing);
};

const nothing: readonly Seen[] = [];

// Every turn looks at each message of its conversation, so that a look at one without pictures makes no object.
const picturesOf = (messages: readonly Pick<Message, 'content'>[]): Seen[] =>
  messages.filter((message) => mediaOf(message).length > 0).flatMap(mediaOf);

/** Whether there are pictures, or other parts that no token ids stand for. */
export const hasPictures = (messages: readonly Pick<Message, 'content'>[]): boolean =>
  messages.some((message) => mediaOf(message).length > 0);

/**
 * The salt that requests of this conversation carry. A prompt's token ids have the same placeholder for every picture, and not every
 * server has the picture in the names of its KV. Under a salt of their own, two conversations with other pictures share no KV, whatever
 * the server does. The price: the first message with a picture computes the whole conversation once.
 */
export function saltWithPictures(salt: string, messages: readonly Pick<Message, 'content'>[]): string {
  const pictures = picturesOf(messages);
  return pictures.length === 0
    ? salt
    : sha256Hex(JSON.stringify(['cwm pictures 1', salt, ...pictures.map(({ sha256 }) => sha256)]));
}

/** An answer whose ids stand for any picture: nothing must compare, continue or name KV by them. */
export const withoutIds = (generation: Generation): Generation => ({ ...generation, promptIds: [], outputIds: [] });

export const withoutPieceIds = ({ text, reasoning }: AnswerPiece): AnswerPiece => ({
  ...(text !== undefined && { text }),
  ...(reasoning !== undefined && { reasoning }),
});

/** @throws CwmError EngineRejected when the model is known to see no pictures, or the server to take nothing but text. */
export function requireSight(
  { kind, model, takesPictures }: Pick<EngineDescription, 'kind' | 'model' | 'takesPictures'>,
  messages: readonly Pick<Message, 'content'>[],
): void {
  const other = takesPictures === false && kind === 'embedded' ? picturesOf(messages).find(isNoPicture) : undefined;
  if (other)
    throw new CwmError(
      'EngineRejected',
      `"${model.id}" takes text only, and the conversation has ${nameOf[other.type]}.`,
      {
        hint: 'Use a model server that takes it, such as llama-server with --mmproj or vLLM.',
      },
    );
  if (takesPictures !== false || !picturesOf(messages).some(({ type }) => type === 'image')) return;
  throw new CwmError('EngineRejected', `"${model.id}" takes no pictures, and the conversation has some.`, {
    hint:
      kind === 'llama-server'
        ? 'Start llama-server with a model that sees pictures and its projector (--mmproj FILE).'
        : 'Use a model server whose model sees pictures, such as llama-server with --mmproj or vLLM.',
  });
}

const nameOf = { image: 'a picture', audio: 'a sound', video: 'a video', file: 'a file' } as const;

const kindsOf = { image: 'pictures', audio: 'sounds', video: 'videos', file: 'files' } as const;

/** What these messages have besides text, like `pictures and sounds`; null: nothing. */
export function mediaWords(messages: readonly Pick<Message, 'content'>[]): string | null {
  const kinds = [...new Set(picturesOf(messages).map(({ type }) => kindsOf[type]))];
  return kinds.length === 0 ? null : kinds.join(' and ');
}

const isNoPicture = ({ type }: Seen): boolean => type !== 'image';

/**
 * Pictures as a client sends them. Their bytes tell their kind.
 *
 * @param images in base64.
 * @throws CwmError InvalidParameter for what is no picture, or too many or too large.
 */
export function parsePictures(images: readonly string[] | undefined): Picture[] {
  if (!images) return [];
  if (images.length > mostPictures)
    throw new CwmError('InvalidParameter', `A message takes at most ${mostPictures} pictures.`);
  const pictures = images.map(parsePicture);
  const together = pictures.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  if (together <= mostBytesTogether) return pictures;
  throw new CwmError(
    'InvalidParameter',
    `The pictures have ${formatBytes(together)}; one message takes ${formatBytes(mostBytesTogether)}.`,
  );
}

function parsePicture(image: string, index: number): Picture {
  const what = `Picture ${index + 1}`;
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(image)) throw new CwmError('InvalidParameter', `${what} is not base64.`);
  const bytes = Buffer.from(image, 'base64');
  if (bytes.length > mostBytes)
    throw new CwmError(
      'InvalidParameter',
      `${what} has ${formatBytes(bytes.length)}; the limit is ${formatBytes(mostBytes)}.`,
    );
  const mediaType = mediaTypeOf(bytes);
  if (mediaType === null)
    throw new CwmError('InvalidParameter', `${what} is no PNG, JPEG, GIF or WebP.`, {
      hint: 'Convert it to PNG or JPEG.',
    });
  const sha256 = sha256Hex(bytes);
  return { type: 'image', mediaType, sha256, sizeBytes: bytes.length, data: bytes.toString('base64') };
}

function mediaTypeOf(bytes: Buffer): Picture['mediaType'] | null {
  const begins = (text: string, at = 0): boolean => bytes.toString('latin1', at, at + text.length) === text;
  if (begins('\x89PNG\r\n\x1a\n')) return 'image/png';
  if (begins('\xff\xd8\xff')) return 'image/jpeg';
  if (begins('GIF87a') || begins('GIF89a')) return 'image/gif';
  return begins('RIFF') && begins('WEBP', 8) ? 'image/webp' : null;
}
