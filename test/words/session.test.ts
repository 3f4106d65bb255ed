import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { baseMadeSentences } from '../../src/words/prime.ts';
import {
  expirySentence,
  movedSentence,
  sessionActivity,
  unsavedSentences,
  waitingSentence,
  warmingCosts,
  warmingSentences,
} from '../../src/words/session.ts';
import type { Warming } from '../../src/protocol/schemas/warming.ts';
import { aSession } from '../vscode-unit/builders.ts';

const question = { id: 'c1', name: 'ask_user', arguments: '{}', why: 'asks', question: { text: 'Which?' } };
const call = { id: 'c2', name: 'run', arguments: '{}', why: 'dangerous' };
const pending = (...calls: object[]) => ({ calls }) as never;

test('a word says what a session does: it failed, waits for an answer or a decision, works, or is at rest', () => {
  const doing = (phase: string, calls: object[] = []) =>
    sessionActivity({ ...aSession({ id: 's' }), phase, pendingTools: pending(...calls) } as never);
  expect(doing('PermanentFailure')).toBe('failed');
  expect(doing('AwaitingToolApproval', [question])).toBe('waits for your answer');
  expect(doing('AwaitingToolApproval', [call])).toBe('waits for your decision');
  expect(doing('Generating')).toBe('working');
  expect(waitingSentence(pending(question, call))).toBe(
    'The turn continues when you have answered, and decided on the tool calls.',
  );
});

test('an expiry and a move are said in a sentence', () => {
  expect(expirySentence('s', undefined)).toBe('Session s does not expire.');
  expect(movedSentence({ ...aSession({ id: 's', title: 'Talk' }), project: null })).toBe(
    '"Talk" belongs to no project now.',
  );
  const movedTo = (project: string) => movedSentence({ ...aSession({ id: 's', title: 'Talk' }), project } as never);
  const folder = path.resolve('/home/me/my talks');
  expect(movedTo(pathToFileURL(folder).href)).toBe(`"Talk" belongs to ${folder} now.`);
  expect(movedTo('vscode-remote://ssh/home/me')).toBe('"Talk" belongs to vscode-remote://ssh/home/me now.');
  expect(movedTo(`${pathToFileURL(folder).href}%1b%5b31m%0a`)).toBe(`"Talk" belongs to ${folder}␛[31m  now.`);
});

test('S0-16 what the end of the backend could not save is named, with what that costs', () => {
  const unsaved = [
    { session: 'a', tokens: 3200, computeMs: 12_000 },
    { session: 'b', tokens: 1 },
  ];
  expect(unsavedSentences({ limitMs: 4000, unsaved })).toEqual([
    'The KV of 2 sessions was not saved within 4 s, which is the limit. No text is lost. If the model server ends too, the next message computes the KV again:',
    '  · a: 3,200 tokens, about 12 s',
    '  · b: 1 token',
  ]);
});

test('opening a folder says what loads, what it costs and what comes after, or asks', () => {
  const warming: Warming = {
    state: 'running',
    why: 'It is loading.',
    tokens: 1200,
    tokensBehind: 30,
    computeMs: 60_000,
    kvBytes: 5_000_000,
    loadMs: 500,
  } as never;
  expect(warmingSentences(warming)).toEqual([
    '1,200 tokens are being brought back. Computing them takes about 60 s, loading 5 MB about 500 ms.',
    'The next message computes 30 tokens that came later.',
  ]);
  expect(warmingSentences({ ...warming, state: 'done', tokensBehind: 0 } as never)).toEqual(['It is loading.']);
  expect(warmingSentences({ ...warming, state: 'ask', computeMs: null } as never)).toEqual(['It is loading.']);
  expect(warmingSentences({ ...warming, state: 'off' } as never)).toEqual(['It is loading.']);
  expect(warmingCosts({ ...warming, loadMs: null })).toBe('Computing them takes about 60 s.');
});

test('a base that was made names the first ten files that it left out, and counts the others', () => {
  const skipped = Array.from({ length: 12 }, (_, at) => ({ path: `f${at}.bin`, why: 'no text' }));
  const made = {
    base: { files: [{}] },
    skipped,
    promptTokens: 40,
    cachedTokens: 32,
    timeToFirstTokenMs: 900,
    notes: ['A note.'],
  };
  const sentences = baseMadeSentences(made as never);
  expect(sentences[0]).toMatch(
    /^New sessions of this project begin with 1 file: 40 tokens, of which 32 were reused in /,
  );
  expect(sentences.slice(-3)).toEqual(['  f9.bin: no text', '  and 2 more', '  · A note.']);
});
