import { expect, test } from 'vitest';
import { ConversationPages } from '../../../../src/core/memory/pages/conversationPages.ts';
import { manifestOf } from '../../../../src/core/memory/pages/manifest.ts';
import type { Segment } from '../../../../src/protocol/memory/records.ts';
import { pageIdOf } from '../../../../src/core/memory/page.ts';
import { aMessage } from '../../../store/builders.ts';

const messages = Array.from({ length: 40 }, (_, at) => aMessage(`m${at + 1}`, at + 1, `Message ${at + 1}.`));

/** A segment of two messages, with a sentence of the first. */
const segment = (at: number): Segment => {
  const [first, last] = [messages[2 * at]!, messages[2 * at + 1]!];
  return {
    type: 'segment',
    id: `s${at + 1}`,
    from: first.id,
    to: last.id,
    firstSequence: first.sequence,
    lastSequence: last.sequence,
    summary: '',
    summaryBy: 'extract',
    text: 'text',
    tokens: 10,
    replacedTokens: 20,
    claims: [{ page: pageIdOf(first), text: 'Said.' }],
    at: '2026-11-20T10:00:00.000Z',
  };
};

test('S1-62 the lists of a manifest take no more tokens together than they may, summaries first, and say whether pages can be asked for', () => {
  const segments = Array.from({ length: 10 }, (_, at) => segment(at));
  const memory = { segment: () => null, pinned: new Set<string>(), mutations: [], searches: [] };
  const pages = new ConversationPages().of({ messages, layout: segments, memory });
  const few = manifestOf(pages, { mostPages: 2, mostTokens: 8192 }, 8 * 64);
  expect(few.working_set.map(({ page_id }) => page_id)).toEqual(['s10', 's9', 's8', 's7']);
  expect(few.available_pages).toHaveLength(4);
  expect(few.policies).toMatchObject({ faults_allowed: true, max_faults_per_turn: 2, upgrade_budget_tokens: 8192 });
  const many = manifestOf(pages, null, 1_000_000);
  expect([many.working_set.length, many.available_pages.length]).toEqual([20, 20]);
  expect(many.policies).toMatchObject({ faults_allowed: false, max_faults_per_turn: 0, upgrade_budget_tokens: 0 });
});
