import { describe, expect, test } from 'vitest';
import { builtInCompressors, compressed } from '../../../src/core/memory/compress.ts';
import type { MessageId } from '../../../src/protocol/ids.ts';
import type { CompressionLevel, Modality } from '../../../src/protocol/memory/page.ts';
import type { Message } from '../../../src/protocol/schemas/session.ts';
import { fc } from '../../support/fc.ts';

const messageOf = (content: Message['content']): Message => ({
  id: 'm1' as MessageId,
  role: 'user',
  parentId: null,
  sequence: 1,
  content,
  createdAt: '2026-01-01T00:00:00.000Z',
});
const said = (text: string): Message => messageOf({ type: 'text', text });
const at = (message: Message, level: CompressionLevel, modality: Modality = 'text') =>
  compressed(builtInCompressors, message, modality, level);

const idle = 'The weather was fine and everybody talked about the garden for a while. ';
const decided = 'We decided that the service must use port 8443. ';

describe('the built-in compressors', () => {
  test('S1-43 each level is shorter than the one before, and the first two keep what was decided', () => {
    const message = said(`${idle.repeat(20)}${decided}${idle.repeat(20)}`);
    const [whole, half, abstract, reference] = ([0, 1, 2, 3] as const).map((level) => at(message, level).text);
    expect(whole).toBe(`${idle.repeat(20)}${decided}${idle.repeat(20)}`);
    expect(half!.length).toBeLessThanOrEqual(whole!.length / 2);
    expect(abstract!.length).toBeLessThanOrEqual(700);
    expect(abstract!.length).toBeLessThan(half!.length);
    expect(reference!.length).toBeLessThan(abstract!.length);
    for (const text of [half, abstract]) expect(text).toContain('must use port 8443');
    expect(reference).toMatch(/^\[user\] The weather was fine .*…$/);
  });

  test('S1-46 a text without a sentence that fits is cut, and no character is halved', () => {
    const half = at(said('🧊'.repeat(2001)), 1);
    expect(half).toMatchObject({ level: 1 });
    expect(half.text.isWellFormed()).toBe(true);
    expect(half.text.length).toBeLessThanOrEqual(2001);
  });

  test('a picture says its kind and its size beside what was written with it', () => {
    const picture = { type: 'image', mediaType: 'image/png', sha256: 'a'.repeat(64), sizeBytes: 1234 } as const;
    const message = messageOf({ type: 'text', text: idle.repeat(40), media: [picture] });
    expect(at(message, 3, 'image').text).toMatch(/^\[IMAGE: image\/png, 1234 bytes\] \[user\] The weather/);
  });

  test('S1-46 no text at any level is longer than the whole, and one that would be is the whole at level 0', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.constantFrom<CompressionLevel>(0, 1, 2, 3), (text, level) => {
        const message = said(text);
        const result = at(message, level);
        expect(result.text.length).toBeLessThanOrEqual(at(message, 0).text.length);
        if (result.level === 0) expect(result.text).toBe(at(message, 0).text);
        else expect(result.level).toBe(level);
      }),
    );
    expect(at(said('Yes.'), 3)).toEqual({ text: at(said('Yes.'), 0).text, level: 0 });
  });
});
