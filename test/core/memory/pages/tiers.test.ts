import { expect, test } from 'vitest';
import { ConversationPages } from '../../../../src/core/memory/pages/conversationPages.ts';
import { codeOf, coreFixture, never } from '../../coreFixture.ts';
import { aMessage } from '../../../store/builders.ts';

test('S1-33 a page that only a window has is in L3, one that a branch has again is in L2, and none is told a stale tier', async () => {
  const { cwm } = await coreFixture();
  await cwm.createSession({ id: 's', memory: { enableVm: true } });
  await cwm.send({ session: 's', text: 'The first message.' }, never());
  const [first] = (await cwm.listMessages({ session: 's' })).items;
  const { messageId } = await cwm.send({ session: 's', text: 'The heron is grey.' }, never());
  const { items } = await cwm.searchPages({ text: 'heron', session: 's' });
  const page = items[0]!.page;
  const tier = async () => (await cwm.memoryPage({ session: 's', page })).page.tier;
  expect(await tier()).toBe('L0');
  await cwm.createBranch({ session: 's', name: 'other', at: messageId, switch: false });
  await cwm.freeze({ session: 's', window: 'w', checkpoint: true }, never());
  await cwm.rollBack({ session: 's', message: first!.id });
  // The branch still has it.
  expect(await tier()).toBe('L2');
  await cwm.deleteBranch({ session: 's', branch: 'other' });
  expect(await tier()).toBe('L3');
  expect((await cwm.memoryPage({ session: 's', page })).text).toBe('The heron is grey.');
  await cwm.deleteWindow({ window: 'w' }, never());
  // Its message stays in the store.
  expect(await tier()).toBe('L2');
  expect(await codeOf(cwm.memoryPage({ session: 's', page: 'p3-0000' }))).toMatch(/^CWM-/);
});

test('S1-33 a text in memory is in L1, and the page is where it was when that text goes', () => {
  const pages = new ConversationPages();
  const message = aMessage('m1', 3, 'The heron is grey.');
  const { id } = pages.addElsewhere(message, 'L3');
  expect(pages.table.get(id)?.tier).toBe('L3');
  const text = { level: 0, had: 0, text: 'The heron is grey.', tokens: 5 } as const;
  pages.remember(id, text);
  expect(pages.table.get(id)?.tier).toBe('L1');
  for (let at = 0; at < 100; at++) pages.remember(`p${at}-0000`, text);
  expect(pages.table.get(id)?.tier).toBe('L3');
});
