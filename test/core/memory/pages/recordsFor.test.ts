import { expect, test } from 'vitest';
import { recordsFor } from '../../../../src/core/memory/pages/recordsFor.ts';
import { pageIdOf } from '../../../../src/core/memory/page.ts';
import { messageId } from '../../../support/ids.ts';

test('of a search that found pages of every branch, those of this conversation stay; a note stays under an id that is one', () => {
  const messages = [1, 2].map((sequence) => ({ id: messageId(`m${sequence}`), sequence }));
  const page = pageIdOf(messages[0]!);
  const search = (sequence: number) => ({ type: 'search', sequence, pages: [page, 'p9-dead'] });
  const records = [search(2), search(3), { type: 'note', id: 's3' }, { type: 'note', id: '../s3' }] as never;
  expect(recordsFor(messages, records)).toEqual({
    records: [
      { type: 'search', sequence: 2, pages: [page] },
      { type: 'note', id: 's3' },
    ],
    left: 2,
  });
});
