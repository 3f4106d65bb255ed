import { createCipheriv, hash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { ScratchFile } from './scratchFile.ts';

/** What is found by any of its keys. */
export interface Entry {
  readonly keys: readonly string[];
  readonly value: string;
}

/** Bytes of a node: where the next one of its bucket is, where its value is, the value's length and checksum, and half a hash of its key. */
const nodeBytes = 32;
const keyBytes = 16;
/** Bytes of the smallest thing that the cipher reads by itself. */
const blockBytes = 16;

/**
 * Values by their keys, on the disk: in memory is a table of fixed size, whose buckets name the newest of their nodes. Several values may have the
 * same key. Nothing is changed or taken out. A value that does not come back as it was written is not there.
 *
 * All of it is encrypted under a key that is in this process's memory only, so that the file tells nobody anything, and nothing after its end.
 */
export class ScratchIndex {
  readonly #file: ScratchFile;
  /** In units of a node; 0 for an empty bucket. */
  readonly #newest: Uint32Array;
  #key = randomBytes(32);
  #nonce = randomBytes(8);
  #end = nodeBytes;

  /** @param buckets a power of two, 4 bytes each. With more keys than buckets, a search reads more than one node. Default: 2 MiB. */
  constructor(file: ScratchFile, buckets = 1 << 19) {
    this.#file = file;
    this.#newest = new Uint32Array(buckets);
  }

  /** What the file has. */
  get bytes(): number {
    return this.#end;
  }

  /** Values of a key, the newest first, read as they are asked for. @throws what the system says. */
  *find(key: string): Generator<string> {
    const wanted = digestOf(key);
    let at = this.#newest[this.#bucketOf(wanted)]!;
    while (at !== 0) {
      const node = this.#read(at * nodeBytes, nodeBytes);
      if (node.length < nodeBytes) return;
      if (node.subarray(nodeBytes - keyBytes).equals(wanted)) {
        const value = this.#read(node.readUInt32LE(4) * nodeBytes, node.readUInt32LE(8));
        if (crc32(value) === node.readUInt32LE(12)) yield value.toString('utf8');
      }
      const next = node.readUInt32LE(0);
      // Nodes stand behind those that they name.
      at = next < at ? next : 0;
    }
  }

  /** The newest value of a key. @throws what the system says. */
  newest(key: string): string | null {
    const { value } = this.find(key).next();
    return typeof value === 'string' ? value : null;
  }

  /** All of them, or none: one write for all. @throws what the system says. */
  add(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    const values = entries.map(({ value }) => Buffer.from(value));
    const bytes = Buffer.alloc(
      entries.reduce((sum, { keys }, at) => sum + nodeBytes * (unitsOf(values[at]!) + keys.length), 0),
    );
    const start = this.#end;
    const newest = new Map<number, number>();
    let at = 0;
    for (const [index, { keys }] of entries.entries()) {
      const value = values[index]!;
      const valueAt = (start + at) / nodeBytes;
      value.copy(bytes, at);
      at += nodeBytes * unitsOf(value);
      for (const key of keys) {
        const digest = digestOf(key);
        const bucket = this.#bucketOf(digest);
        bytes.writeUInt32LE(newest.get(bucket) ?? this.#newest[bucket]!, at);
        bytes.writeUInt32LE(valueAt, at + 4);
        bytes.writeUInt32LE(value.length, at + 8);
        bytes.writeUInt32LE(crc32(value), at + 12);
        digest.copy(bytes, at + nodeBytes - keyBytes);
        newest.set(bucket, (start + at) / nodeBytes);
        at += nodeBytes;
      }
    }
    // A place is never written twice under one key, also not after a failure: two texts there would tell of each other.
    this.#end += bytes.length;
    this.#file.write(this.#crypted(bytes, start), start);
    for (const [bucket, node] of newest) this.#newest[bucket] = node;
  }

  /** Forgets everything. @throws what the system says. */
  clear(): void {
    this.#newest.fill(0);
    this.#key = randomBytes(32);
    this.#nonce = randomBytes(8);
    this.#end = nodeBytes;
    this.#file.empty();
  }

  close(): void {
    this.#newest.fill(0);
    this.#file.close();
  }

  #bucketOf(digest: Buffer): number {
    return digest.readUInt32LE(0) & (this.#newest.length - 1);
  }

  #read(at: number, length: number): Buffer {
    return this.#crypted(this.#file.read(at, length), at);
  }

  /** Encryption and decryption are the same there: a stream of bytes that belongs to the place is added. */
  #crypted(bytes: Buffer, at: number): Buffer {
    const counter = Buffer.alloc(blockBytes);
    this.#nonce.copy(counter);
    counter.writeBigUInt64BE(BigInt(at / blockBytes), blockBytes - 8);
    return createCipheriv('aes-256-ctr', this.#key, counter).update(bytes);
  }
}

const unitsOf = (value: Buffer): number => Math.ceil(value.length / nodeBytes);

const digestOf = (key: string): Buffer => hash('sha256', key, 'buffer').subarray(0, keyBytes);
