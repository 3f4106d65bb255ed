import { describe, expect, test } from 'vitest';
import { decodeText } from '../../src/base/decodeText.ts';

const utf16 = (text: string): Buffer => Buffer.from(text, 'utf16le');
const bigEndian = (text: string): Buffer => utf16(text).swap16();

describe('K10 text from outside', () => {
  test.each([
    ['UTF-8', Buffer.from('Grüße')],
    ['UTF-8 with its mark', Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from('Grüße')])],
    ['UTF-16', Buffer.concat([Buffer.from([0xff, 0xfe]), utf16('Grüße')])],
    ['UTF-16, big-endian', Buffer.concat([Buffer.from([0xfe, 0xff]), bigEndian('Grüße')])],
  ])('%s is read by its mark, without it', (_, bytes) => expect(decodeText(bytes)).toEqual({ text: 'Grüße' }));

  test('NUL, joined emoji and a mark inside are text as they are', () => {
    const text = 'a\0b\r\n\u{1F468}\u200D\u{1F469} \uFEFFmid';
    expect(decodeText(Buffer.from(text))).toEqual({ text });
    expect(decodeText(Buffer.alloc(0))).toEqual({ text: '' });
  });

  test.each([
    ['Latin-1', Buffer.from('café', 'latin1'), 'not UTF-8 text'],
    ['UTF-16 without a mark', utf16('hello there'), 'without a byte order mark'],
    ['UTF-32', Buffer.from([0xff, 0xfe, 0, 0, 0x61, 0, 0, 0]), 'UTF-32'],
    ['half a surrogate pair', Buffer.from([0xff, 0xfe, 0x3d, 0xd8]), 'not valid UTF-16'],
    ['an encoded surrogate', Buffer.from([0x61, 0xed, 0xa0, 0xbd]), 'not UTF-8 text'],
  ])('%s is refused with the reason, never replaced', (_, bytes, why) =>
    expect(decodeText(bytes)).toEqual({ why: expect.stringContaining(why) }),
  );
});
