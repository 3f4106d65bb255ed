import { describe, expect, test } from 'vitest';
import { readyCommand, zmtpFrame, zmtpGreeting, ZmtpReader } from '../../../src/engines/vllm/events/zmtpFrames.ts';
import { fc } from '../../support/fc.ts';

/** Everything a reader makes of these pieces. */
function framesOf(pieces: readonly Buffer[]) {
  const reader = new ZmtpReader();
  return pieces.flatMap((piece) =>
    Array.from(reader.read(piece), ({ body, ...flags }) => ({ ...flags, body: Buffer.from(body) })),
  );
}

const pieces = (bytes: Buffer, sizes: readonly number[]): Buffer[] => {
  const cut: Buffer[] = [];
  let at = 0;
  for (const size of sizes) {
    cut.push(bytes.subarray(at, at + size));
    at += size;
  }
  return [...cut, bytes.subarray(at)];
};

const frame = fc.record({
  body: fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.constantFrom(new Uint8Array(255), new Uint8Array(256))),
  isCommand: fc.boolean(),
  hasMore: fc.boolean(),
});

describe('frames of ZeroMQ', () => {
  test('are the same in whatever pieces they arrive', () => {
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 5 }), fc.array(fc.nat(90), { maxLength: 20 }), (sent, sizes) => {
        const bytes = Buffer.concat([
          zmtpGreeting(),
          ...sent.map(({ body, isCommand, hasMore }) => zmtpFrame(body, isCommand, hasMore)),
        ]);
        const expected = sent.map(({ body, ...flags }) => ({ ...flags, body: Buffer.from(body) }));
        expect(framesOf(pieces(bytes, sizes))).toEqual(expected);
      }),
    );
  });

  test('end the handshake with the kind of socket', () => {
    const [ready] = framesOf([zmtpGreeting(), readyCommand('SUB')]);
    expect(ready?.isCommand).toBe(true);
    expect(ready?.body.toString('latin1')).toBe('\x05READY\x0bSocket-Type\0\0\0\x03SUB');
  });

  const greetingWith = (at: number, bytes: string): Buffer => {
    const greeting = zmtpGreeting();
    greeting.write(bytes, at, 'latin1');
    return greeting;
  };
  test.each([
    ['an HTTP server', Buffer.from(`HTTP/1.1 400 Bad Request\r\n\r\n${' '.repeat(64)}`)],
    ['a peer of version 2', greetingWith(10, '\x02')],
    ['a peer that wants a password', greetingWith(12, 'PLAIN')],
    ['a peer with encryption', greetingWith(12, 'CURVE')],
  ])('are not read from %s', (_, greeting) => {
    expect(() => framesOf([greeting])).toThrow('it speaks no ZeroMQ');
  });

  test('of more than 64 MiB are refused before they arrive', () => {
    const head = Buffer.alloc(9);
    head[0] = 2;
    head.writeBigUInt64BE(64n * 2n ** 20n + 1n, 1);
    expect(() => framesOf([zmtpGreeting(), head])).toThrow('it sent a message that is too long');
    head.writeBigUInt64BE(64n * 2n ** 20n, 1);
    expect(framesOf([zmtpGreeting(), head])).toEqual([]);
  });
});
