import { createCipheriv, createDecipheriv, createHmac, randomBytes, type KeyObject } from 'node:crypto';

/*
 * A file at rest is a row of frames: `CWE1`, the length of what follows the nonce, a random nonce of 12 bytes, then AES-256-GCM's
 * output and its tag. A file that is written at once is one frame, each addition to a file one more.
 */

const magic = Buffer.from('CWE1');
const lengthBytes = 4;
const nonceBytes = 12;
const tagBytes = 16;
const headBytes = magic.length + lengthBytes + nonceBytes;

/** Replaces a damaged frame in the plain text: a line of its own, and no record. */
export const damagedMark = Buffer.from('\ndamaged\n');

export interface OpenedFrames {
  readonly plain: Buffer;
  /** Where each frame ends, in the plain text and in the file. */
  readonly ends: readonly { readonly plain: number; readonly raw: number }[];
}

/** Names a key without revealing anything of it: 16 hex digits. */
export const keyIdOf = (key: KeyObject): string =>
  createHmac('sha256', key).update('cwm key id').digest('hex').slice(0, 16);

export function sealFrame(key: KeyObject, plain: Uint8Array): Buffer {
  const nonce = randomBytes(nonceBytes);
  const head = Buffer.concat([magic, Buffer.alloc(lengthBytes), nonce]);
  head.writeUInt32BE(plain.length + tagBytes, magic.length);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(head.subarray(0, magic.length + lengthBytes));
  return Buffer.concat([head, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** Whether a file has been encrypted; an empty one has nothing to hide. */
export const isSealed = (raw: Uint8Array): boolean => raw.length === 0 || magic.equals(raw.subarray(0, magic.length));

/**
 * The plain text of a file, without a part of a frame that a crash left at its end. A damaged frame becomes {@link damagedMark}, and
 * the frames behind it are found again.
 */
export function openFrames(key: KeyObject, raw: Buffer): OpenedFrames {
  const parts: Buffer[] = [];
  const ends: { plain: number; raw: number }[] = [];
  let plainLength = 0;
  const add = (part: Buffer, rawEnd: number): void => {
    parts.push(part);
    plainLength += part.length;
    ends.push({ plain: plainLength, raw: rawEnd });
  };
  for (let at = 0; at < raw.length;) {
    const whole = frameAt(raw, at);
    const opened = whole && openFrame(key, whole);
    if (opened) {
      at += whole.length;
      add(opened, at);
      continue;
    }
    const next = raw.indexOf(magic, at + 1);
    if (next < 0 && whole === null && isCutShort(raw.subarray(at))) break;
    at = next < 0 ? raw.length : next;
    add(damagedMark, at);
  }
  return { plain: Buffer.concat(parts), ends };
}

/** The remains of an interrupted write: its beginning, or the room that was reserved for it. */
const isCutShort = (rest: Buffer): boolean =>
  rest.subarray(0, magic.length).equals(magic.subarray(0, rest.length)) || rest.every((byte) => byte === 0);

/** Null when it is incomplete. */
function frameAt(raw: Buffer, at: number): Buffer | null {
  if (raw.length < at + headBytes || !magic.equals(raw.subarray(at, at + magic.length))) return null;
  const end = at + headBytes + raw.readUInt32BE(at + magic.length);
  return end <= raw.length ? raw.subarray(at, end) : null;
}

function openFrame(key: KeyObject, frame: Buffer): Buffer | null {
  if (frame.length < headBytes + tagBytes) return null;
  const decipher = createDecipheriv('aes-256-gcm', key, frame.subarray(headBytes - nonceBytes, headBytes));
  decipher.setAAD(frame.subarray(0, magic.length + lengthBytes));
  decipher.setAuthTag(frame.subarray(-tagBytes));
  try {
    return Buffer.concat([decipher.update(frame.subarray(headBytes, -tagBytes)), decipher.final()]);
  } catch {
    // This error means that the tag is wrong.
    return null;
  }
}
