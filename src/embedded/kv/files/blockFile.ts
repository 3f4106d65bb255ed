import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createSecretKey,
  randomBytes,
  type CipherGCM,
  type KeyObject,
} from 'node:crypto';
import { kvBlockHead } from '../../../base/kvBlockHead.ts';

/**
 * A piece of KV on disk:
 *
 * magic · name (32 bytes) · nonce (12) · tag of the body (16) · tag of all this (16) · SHA-256 over name and body (32) · body.
 *
 * The body is the payload, encrypted with AES-256-GCM where the store has a key. An encrypted file has AES-GCM's own tags. A file in clear
 * has GMAC tags under a key of zeros: no secret, but a checksum of 128 bits, several times as fast as SHA-256 or CRC-32. A file that was
 * cut, changed, zeroed or renamed does not decode. Decoding does not need the SHA-256: a window's record stores it, and a verification
 * computes it again. So it may be written later ({@link sealBody}): until then it is zeros.
 */
const magics = {
  /** The rows of one block of tokens. */
  rows: 'CWMKVB',
  /** The position state behind the last token of the block of that name. */
  position: 'CWMKVP',
} as const;
export type PieceKind = keyof typeof magics;

/** The end of each kind's file name. */
export const pieceEndings = { rows: '.kv', position: '.state' } as const satisfies Record<PieceKind, string>;

const formatVersion = 3;
const { nameAt, nonceAt, tagAt, headTagAt, bodyAt } = kvBlockHead;
export const { sha256At } = kvBlockHead;

/** Size of a block's file. */
export const blockFileBytes = (payloadBytes: number): number => bodyAt + payloadBytes;

/** What a file is written and read with. */
export interface BlockSeal {
  /** 32 bytes; null where KV is stored in clear. */
  readonly key: Uint8Array | null;
}

/** Head and body of a file, to be written one after the other. */
export interface EncodedBlock {
  readonly head: Buffer;
  readonly body: Uint8Array;
}

/** @param name The block's hash, 64 hex digits. */
export function encodeBlock(name: string, payload: Uint8Array, kind: PieceKind, seal: BlockSeal): EncodedBlock {
  const sealed = sealBody(name, kind, seal);
  const body = sealed.add(payload);
  const head = sealed.head();
  createHash('sha256').update(nameBytesOf(head)).update(body).digest().copy(head, sha256At);
  return { head, body };
}

/** The body of a file while it is written, piece by piece. */
export interface SealedBody {
  /** The next bytes as they go into the file: the same view, unless they are encrypted. */
  add(bytes: Uint8Array): Uint8Array;
  /** The head over everything that was added, without the SHA-256; asked once, at the end. */
  head(): Buffer;
}

/** @param name The block's hash, 64 hex digits. */
export function sealBody(name: string, kind: PieceKind, { key }: BlockSeal): SealedBody {
  const head = Buffer.alloc(bodyAt);
  head.write(`${magics[kind]}${key ? 'E' : '\0'}${String.fromCharCode(formatVersion)}`, 'latin1');
  head.write(name, nameAt, 'hex');
  if (key) randomBytes(12).copy(head, nonceAt);
  const cipher = key && createCipheriv('aes-256-gcm', keyOf(key), head.subarray(nonceAt, tagAt));
  cipher?.setAAD(head.subarray(0, nonceAt));
  const check = cipher ?? newCheck();
  return {
    add: (bytes) => {
      if (cipher) return cipher.update(bytes);
      check.setAAD(bytes);
      return bytes;
    },
    head: () => {
      tagOf(check).copy(head, tagAt);
      checkTag(head.subarray(0, headTagAt)).copy(head, headTagAt);
      return head;
    },
  };
}

/**
 * The payload, a view into `file` unless it was encrypted; null unless the file is whole, is the piece of that name and kind, and was
 * written with this seal.
 */
export function decodeBlock(name: string, file: Buffer, kind: PieceKind, seal: BlockSeal): Buffer | null {
  const body = openBody(name, file.subarray(0, bodyAt), kind, seal);
  const payload = body?.take(file.subarray(bodyAt));
  return body?.isWhole() ? (payload ?? null) : null;
}

/** Bytes before the body of a file. */
export const headBytes = bodyAt;

/** The bytes of the name in a head: the beginning of what the SHA-256 is over. */
export const nameBytesOf = (head: Buffer): Buffer => head.subarray(nameAt, nonceAt);

/** The SHA-256 in a head; null when it is not computed yet. */
export function sha256Of(head: Buffer): Buffer | null {
  const sha256 = head.subarray(sha256At, bodyAt);
  return sha256.every((byte) => byte === 0) ? null : sha256;
}

/** The body of a file while it is read, piece by piece. Nothing of it may be believed before {@link isWhole} said so. */
export interface OpenedBody {
  /** The payload of the next bytes: the same view, unless they were encrypted. */
  take(bytes: Buffer): Buffer;
  /** Whether everything that was taken is the body that was written; asked once, at the end. */
  isWhole(): boolean;
}

/** Null unless `head` is that of the piece of that name and kind, written with this seal. */
export function openBody(name: string, head: Buffer, kind: PieceKind, { key }: BlockSeal): OpenedBody | null {
  if (head.length < bodyAt) return null;
  const magic = `${magics[kind]}${key ? 'E' : '\0'}${String.fromCharCode(formatVersion)}`;
  if (head.toString('latin1', 0, nameAt) !== magic || head.toString('hex', nameAt, nonceAt) !== name) return null;
  if (!checkTag(head.subarray(0, headTagAt)).equals(head.subarray(headTagAt, sha256At))) return null;
  // Copies, since the caller reads the body over them.
  const tag = Buffer.from(head.subarray(tagAt, headTagAt));
  if (!key) {
    const check = newCheck();
    const take = (bytes: Buffer): Buffer => {
      check.setAAD(bytes);
      return bytes;
    };
    return { take, isWhole: () => tagOf(check).equals(tag) };
  }
  const decipher = createDecipheriv('aes-256-gcm', keyOf(key), Buffer.from(head.subarray(nonceAt, tagAt)), {
    authTagLength: 16,
  });
  decipher.setAAD(head.subarray(0, nonceAt));
  decipher.setAuthTag(tag);
  const isWhole = (): boolean => {
    try {
      decipher.final();
      return true;
    } catch {
      return false;
    }
  };
  return { take: (bytes) => decipher.update(bytes), isWhole };
}

/** Node asks each key of bytes whether it is an object, and makes an error with a stack to learn that it is not: a tenth of the time of a block. */
const zeroKey = createSecretKey(Buffer.alloc(16));
const keys = new WeakMap<Uint8Array, KeyObject>();

function keyOf(bytes: Uint8Array): KeyObject {
  const key = keys.get(bytes) ?? createSecretKey(bytes);
  keys.set(bytes, key);
  return key;
}

const zeroNonce = Buffer.alloc(12);

const newCheck = (): CipherGCM => createCipheriv('aes-128-gcm', zeroKey, zeroNonce);

function tagOf(check: CipherGCM): Buffer {
  check.final();
  return check.getAuthTag();
}

/** 128 bits over these bytes: no secret, and no proof against a forger. */
function checkTag(bytes: Uint8Array): Buffer {
  const check = newCheck();
  check.setAAD(bytes);
  return tagOf(check);
}
