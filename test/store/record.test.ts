import { describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { openImage, sealImage } from '../../src/store/index/indexImage.ts';
import { decodeLines, encodeLines } from '../../src/store/disk/lines.ts';
import { DamageError, decodeRecord, encodeRecord, isSameRecord } from '../../src/store/disk/record.ts';
import { fc } from '../support/fc.ts';

const schema = z.object({ text: z.string(), count: z.number() });
const value = { text: 'ice 🧊 and "quotes"\u2028', count: 3 };

/** Each way of changing one bit, and each way of losing the end. */
function* damages(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at++) {
    for (let bit = 0; bit < 8; bit++) yield bytes.map((byte, index) => (index === at ? byte ^ (1 << bit) : byte));
    yield bytes.slice(0, at);
  }
}

it('two records are the same when their values are, in whatever order the fields stand', () => {
  const record = encodeRecord(value);
  expect(isSameRecord(record, encodeRecord({ count: 3, text: value.text }))).toBe(true);
  expect(isSameRecord(record, encodeRecord({ ...value, count: 4 }))).toBe(false);
  expect(isSameRecord(record, encodeRecord(value, 1))).toBe(false);
  expect(isSameRecord(record, record.slice(1))).toBe(false);
});

describe('EC-050 records', () => {
  it('come back as they were, whatever text is in them', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.integer(), (text, count) => {
        expect(decodeRecord(encodeRecord({ text, count }), schema)).toEqual({ text, count });
      }),
    );
  });

  it('with any one bit flipped, or cut at any byte, are known to be damaged', () => {
    for (const damaged of damages(encodeRecord(value))) {
      expect(() => decodeRecord(damaged, schema)).toThrow(DamageError);
    }
  });

  it('with something behind them are damaged', () => {
    const record = encodeRecord(value);
    expect(() => decodeRecord(Buffer.concat([record, record]), schema)).toThrow(DamageError);
  });

  it('S0-23 of another version are refused, and are not damaged', () => {
    const other = encodeRecord({ unknown: true });
    expect(() => decodeRecord(other, schema)).toThrow(expect.objectContaining({ code: 'CWM-1004' }) as Error);
  });
});

describe('EC-050 lines', () => {
  const lines = [value, { text: '', count: 0 }, { text: 'last', count: 1 }];
  const bytes = encodeLines(lines);

  it('come back as they were', () => {
    expect(decodeLines(bytes, schema)).toEqual({ values: lines, wholeBytes: bytes.length, damagedLines: [] });
    expect(decodeLines(new Uint8Array(), schema)).toEqual({ values: [], wholeBytes: 0, damagedLines: [] });
  });

  it('with any one bit flipped or cut at any byte lose lines, and never change or invent one', () => {
    for (const damaged of damages(bytes)) {
      const { values } = decodeLines(damaged, schema);
      expect(values.length).toBeLessThan(lines.length);
      for (const found of values) expect(lines).toContainEqual(found);
    }
  });

  it('keep their neighbours when one is damaged', () => {
    const second = bytes.indexOf(0x0a) + 70;
    const damaged = bytes.map((byte, at) => (at === second ? byte ^ 1 : byte));
    expect(decodeLines(damaged, schema)).toMatchObject({ values: [lines[0], lines[2]], damagedLines: [2] });
  });
});

describe('EC-051 the index image', () => {
  it('with any one bit flipped, or cut at any byte, is not opened', () => {
    const sealed = sealImage(Buffer.from('SQLite format 3\u0000 and so on'));
    expect(openImage(sealed)).toEqual(Buffer.from('SQLite format 3\u0000 and so on'));
    for (const damaged of damages(sealed)) expect(openImage(damaged)).toBeNull();
  });
});
