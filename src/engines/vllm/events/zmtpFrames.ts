/** One frame of ZMTP 3: a part of a message, or a command. */
export interface ZmtpFrame {
  readonly isCommand: boolean;
  /** Another part of the same message follows. */
  readonly hasMore: boolean;
  readonly body: Buffer;
}

const greetingBytes = 64;
/** A longer frame is no batch of events: a context of a million tokens takes about 5 MB. */
const maxFrameBytes = 64 * 2 ** 20;

/** A subscriber's first bytes: signature, version 3.0, the mechanism NULL. */
export function zmtpGreeting(): Buffer {
  const greeting = Buffer.alloc(greetingBytes);
  greeting[0] = 0xff;
  greeting[9] = 0x7f;
  greeting[10] = 3;
  greeting.write('NULL', 12, 'latin1');
  return greeting;
}

export function zmtpFrame(body: Uint8Array, isCommand = false, hasMore = false): Buffer {
  const flags = (isCommand ? 4 : 0) | (hasMore ? 1 : 0);
  if (body.length < 256) return Buffer.concat([Buffer.from([flags, body.length]), body]);
  const head = Buffer.alloc(9);
  head[0] = flags | 2;
  head.writeBigUInt64BE(BigInt(body.length), 1);
  return Buffer.concat([head, body]);
}

/** The command that ends the handshake, with the kind of socket that sends it. */
export function readyCommand(socketType: 'SUB' | 'PUB'): Buffer {
  const property = 'Socket-Type';
  const head = Buffer.from(
    `\x05READY${String.fromCharCode(property.length)}${property}\0\0\0\x03${socketType}`,
    'latin1',
  );
  return zmtpFrame(head, true);
}

/** Splits the bytes of a peer after its greeting into frames. */
export class ZmtpReader {
  #rest: Buffer = Buffer.alloc(0);
  #hasGreeted = false;

  /** @throws Error when the peer does not speak ZMTP 3 without encryption, or sends a frame that is too long. */
  *read(chunk: Buffer): Generator<ZmtpFrame> {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    if (!this.#hasGreeted) {
      if (this.#rest.length < greetingBytes) return;
      const isNull = this.#rest.toString('latin1', 12, 17) === 'NULL\0';
      if (this.#rest[0] !== 0xff || (this.#rest[10] ?? 0) < 3 || !isNull) throw new Error('it speaks no ZeroMQ');
      this.#hasGreeted = true;
      this.#rest = this.#rest.subarray(greetingBytes);
    }
    for (;;) {
      const [flags, short] = this.#rest;
      if (flags === undefined || short === undefined) return;
      const isLong = (flags & 2) !== 0;
      if (isLong && this.#rest.length < 9) return;
      const length = isLong ? Number(this.#rest.readBigUInt64BE(1)) : short;
      if (length > maxFrameBytes) throw new Error('it sent a message that is too long');
      const end = (isLong ? 9 : 2) + length;
      if (this.#rest.length < end) return;
      const body = this.#rest.subarray(end - length, end);
      this.#rest = this.#rest.subarray(end);
      yield { isCommand: (flags & 4) !== 0, hasMore: (flags & 1) !== 0, body };
    }
  }
}
