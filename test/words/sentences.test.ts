import { describe, expect, test } from 'vitest';
import { CwmError } from '../../src/protocol/errors.ts';
import { trashGraceMs } from '../../src/store/records/trash.ts';
import { encryptionSentences, turnedSentences } from '../../src/words/encryption.ts';
import { headline, problemText } from '../../src/words/failure.ts';
import { pruneWords } from '../../src/words/prune.ts';
import { waitingCalls, waitingQuestions, waitingSentence } from '../../src/words/session.ts';
import { trashDays, trashSentence } from '../../src/words/trash.ts';

const on = { state: 'on', keyId: '0123456789abcdef', keyFile: '/stick/store.key' } as const;
const off = { state: 'off', keyId: null, keyFile: null } as const;

describe('S0-61 encryption', () => {
  test('every sentence about an encrypted storage says where the key is and to store a copy', () => {
    for (const sentences of [encryptionSentences(on), turnedSentences(on, true), turnedSentences(on, false)]) {
      expect(sentences.join(' ')).toContain('The key is in /stick/store.key. Store a copy of that file elsewhere');
    }
    expect(turnedSentences(on, false)[0]).toBe('The storage is already encrypted.');
    expect(turnedSentences(on, true)[0]).toBe('The storage is now encrypted.');
  });

  test('the key is still of use after a decryption; without a key there is nothing to say about one', () => {
    expect(turnedSentences(off, true).join(' ')).toContain('older copies of the storage need it');
    expect(turnedSentences(off, false)).toEqual(['The storage is not encrypted.']);
  });
});

describe('the trash', () => {
  test('the days in the sentence are the days of the store', () => {
    expect(trashDays * 24 * 60 * 60 * 1000).toBe(trashGraceMs);
    expect(trashSentence).toContain(`${trashDays} days`);
  });

  test('S0-50 a prune says what it moves, what it frees, and which model servers it asks', () => {
    const windows = Array.from({ length: 12 }, (_, at) => ({
      name: `w-${at}`,
      lastUsedAt: '2026-11-20T10:01:00.000Z',
      tokens: 1,
      recordBytes: 1,
    }));
    const result = { dryRun: true, windows, blocks: 7, bytesFreed: 7000, bytesToTrash: 12, elsewhere: 2 };
    const words = (changes: Partial<typeof result>): string =>
      pruneWords({ ...result, ...changes } as Parameters<typeof pruneWords>[0], new Date()).sentences.join(' ');
    expect(words({})).toContain('12 windows would move to the trash for 7 days (12 B).');
    expect(words({})).toContain('Deleting 7 KV blocks that nothing else needs would free 7 kB.');
    expect(words({})).toContain('The KV of 2 windows is on other model servers');
    expect(words({ dryRun: false, elsewhere: 0 })).not.toMatch(/would|other model servers/);
  });
});

describe('failures', () => {
  test('a log that a message quotes is left to the log', () => {
    const message = 'It could not start: status 1. Its log ends with:\nstack\nmore stack';
    const error = new CwmError('BackendUnavailable', message, { hint: 'Look at it.' });
    expect(problemText(error)).toBe('It could not start: status 1. (CWM-5010) Look at it.');
    expect(headline('Only this:\nlog')).toBe('Only this.');
    expect(headline('One line.')).toBe('One line.');
  });
});

describe('tool calls that wait for the user', () => {
  test('are named with the reason for the question; those that were decided on, or need no question, are not', () => {
    const call = { id: 'c', name: 'read_file', arguments: '{"path":"a\nb"}' };
    const calls = [
      { ...call, why: 'the policy asks' },
      { ...call, why: 'the policy asks', decision: 'denied' as const },
      call,
    ];
    expect(waitingCalls({ calls, round: 1 })).toEqual(['read_file {"path":"a b"} (the policy asks)']);
    expect(waitingCalls(undefined)).toEqual([]);
  });

  test('questions of the model are told apart from them', () => {
    const asks = { id: 'q', name: 'ask_user', arguments: '{}', why: 'The model asks you.', question: { text: 'Why?' } };
    const reads = { id: 'c', name: 'read_file', arguments: '{}', why: 'the policy asks' };
    const pending = { calls: [asks, reads], round: 1 };
    expect(waitingCalls(pending)).toEqual(['read_file {} (the policy asks)']);
    expect(waitingQuestions(pending)).toEqual([{ call: 'q', text: 'Why?' }]);
    expect(waitingSentence(pending)).toContain('answered, and decided');
    expect(waitingSentence({ ...pending, calls: [asks] })).toMatch(/have answered\.$/);
  });
});
