import { expect, test } from 'vitest';
import { marked } from '../../../src/embedded/worker/notation.ts';

test("S4-14 a value of a tool's schema is written as Gemma writes it: texts between marks, keys bare and in order", () => {
  const { written } = marked('<|"|>');
  expect(written('a "text"')).toBe('<|"|>a "text"<|"|>');
  expect(written({ b: [1, true, null], a: { 'an odd key': 'x' } })).toBe(
    '{a:{<|"|>an odd key<|"|>:<|"|>x<|"|>},b:[1,true,null]}',
  );
});
