import { expect, test } from 'vitest';
import { findPage } from '../../../../src/core/memory/pages/findPage.ts';
import { CwmError } from '../../../../src/protocol/errors.ts';

const session = { id: 's', branches: {} } as never;
const page = { id: 'p1-aaaa', messageIds: ['m1'] };
const summary = { id: 's1', messageIds: ['m1', 'm2'] };
const pages = {
  named: (given: string) => ({ p1: page, s1: summary })[given] ?? null,
  messageOf: () => null,
  addElsewhere: () => page,
} as never;
const coreWith = (load: () => Promise<unknown>) =>
  ({ store: { messages: { load }, windows: { list: async () => ({ items: [] }) } } }) as never;

test('a page whose message is not in memory is read from the store, a summary has no message, and a lost message has no page', async () => {
  const message = { id: 'm1' };
  const found = coreWith(async () => [message]);
  const lost = coreWith(async () => {
    throw new CwmError('Corrupted', 'It is damaged.');
  });
  expect(await findPage(found, session, pages, 'p1')).toEqual({ page, message });
  expect(await findPage(found, session, pages, 's1')).toEqual({ page: summary, message: null });
  expect(await findPage(lost, session, pages, 'p1')).toBeNull();
  expect(await findPage(found, session, pages, 'what I said')).toBeNull();
});
