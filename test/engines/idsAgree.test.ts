import { expect, test } from 'vitest';
import { idsAgree } from '../../src/engines/idsAgree.ts';

test.each([
  ['<|im_start|>Hello<|im_end|>', { text: 'Hello' }, true],
  ['<think>so</think>\n\nHello STOP', { text: 'Hello', reasoning: 'so' }, true],
  [' Hello', { text: 'Hello ' }, true],
  ['Hel\u{fffd}', { text: 'Hel' }, true],
  ['', { text: '' }, true],
  [null, { text: 'Hello' }, true],
  ['Helo', { text: 'Hello' }, false],
  ['Hello', { text: 'Hello', reasoning: 'so' }, false],
  ['', { text: 'Hello' }, false],
])('F4 ids that say %j can be those of %j: %s', (textOfIds, answer, agrees) => {
  expect(idsAgree(textOfIds, answer)).toBe(agrees);
});
