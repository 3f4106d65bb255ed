import { describe, expect, test } from 'vitest';
import { dateIn, patternOf } from '../../../../src/core/memory/search/datesIn.ts';
import { rankMessages } from '../../../../src/core/memory/search/rankMessages.ts';
import type { MessageOccurrences } from '../../../../src/core/ports/search.ts';
import type { MessageId, SessionId } from '../../../../src/protocol/ids.ts';

describe('the date that a question names', () => {
  test.each([
    ['What did we decide on 2023-05-08?', { year: 2023, month: 5, day: 8 }, '2023-05-08'],
    ['the minutes of 2023-05', { year: 2023, month: 5 }, '2023-05-__'],
    ['What happened in 2022?', { year: 2022 }, '2022-__-__'],
    ['When did Ann travel in july?', { month: 7 }, '____-07-__'],
    ['the meeting of 7th May', { month: 5, day: 7 }, '____-05-07'],
    ['the meeting of December 24, 2021', { year: 2021, month: 12, day: 24 }, '2021-12-24'],
  ])('%s', (question, date, pattern) => {
    expect(dateIn(question)).toEqual(date);
    expect(patternOf(date)).toBe(pattern);
  });

  test.each(['May I open the port?', 'port 8443 of 20 hosts', 'version 1.2023', 'What grows here?'])(
    '%s names none that counts as a month',
    (question) => expect(dateIn(question)?.month).toBeUndefined(),
  );
});

const messageOf = (sequence: number, more: Partial<MessageOccurrences> = {}): MessageOccurrences => ({
  message: `m${sequence}` as MessageId,
  session: `s${sequence}` as SessionId,
  sequence,
  role: 'user',
  speaker: null,
  createdAt: `2023-0${sequence}-08T12:00:00.000Z`,
  length: 10,
  counts: [1],
  ...more,
});

/** Places of the messages, best first; each is in a talk of its own and has the word once. */
const ranked = (query: string, found: readonly MessageOccurrences[]): number[] =>
  rankMessages(
    { words: ['port'], shares: [0.5], messages: found.length, averageLength: 10, found },
    query,
    dateIn(query),
  ).map(({ found: { sequence } }) => sequence);

describe('messages that say the same', () => {
  test('a date in the question puts those of that time first', () => {
    const found = [1, 2, 3, 4].map((sequence) => messageOf(sequence));
    expect(ranked('the port', found)[0]).toBe(4);
    expect(ranked('the port on 2023-02-08', found)[0]).toBe(2);
    expect(ranked('the port in march', found)[0]).toBe(3);
  });

  test('a name in the question puts those of this speaker first', () => {
    const found = [1, 2, 3, 4].map((sequence) => messageOf(sequence, { speaker: sequence < 3 ? 'ann' : 'bob' }));
    expect(ranked('What did Ann say about the port?', found)[0]).toBe(2);
    expect(ranked('What did Bob say about the port?', found)[0]).toBe(4);
  });
});
