import { describe, expect, test } from 'vitest';
import { CwmError } from '../../src/protocol/errors.ts';
import { statusBarView } from '../../src/vscode/render/statusBarView.ts';
import { projectUri } from '../support/ids.ts';
import { aReceipt, aSession, aState } from './builders.ts';

describe('V3 the status bar', () => {
  const currentSession = { kind: 'session', session: aSession() } as const;

  test('shows the current window, tokens of the limit, and the last verdict in words', () => {
    const session = aSession({ thawedFrom: { window: 'auth-refactor', verdict: 'proven' }, lifecycle: 'thawed' });
    const view = statusBarView(aState({ currentSession: { kind: 'session', session } }));
    expect(view.text).toBe('$(archive) auth-refactor 8.2K/32K proven');
    expect(view.label).toContain('8,192 of 32,000 tokens used, last verdict proven');
    expect(view.severity).toBe('normal');
  });

  test("the tooltip has what virtual memory's next prompt has, and only of the session that is shown", () => {
    const memory = { session: 'session-1', split: 'Memory: 12 of 40 messages whole.' };
    expect(statusBarView(aState({ currentSession, memory })).tooltip).toContain(memory.split);
    const other = { ...memory, session: 'session-2' };
    expect(statusBarView(aState({ currentSession, memory: other })).tooltip).not.toContain('Memory');
  });

  test('the verdict is that of the last operation: of a freeze seen here, of a thaw by whichever client', () => {
    const shown = (thawedFrom: { window: string; verdict: string }, receipt: Parameters<typeof aReceipt>[0]) => {
      const session = aSession({ thawedFrom });
      const receipts = new Map([[session.id, aReceipt(receipt)]]);
      return statusBarView(aState({ currentSession: { kind: 'session', session }, receipts })).text;
    };
    const before = { window: 'w1', verdict: 'proven' };
    expect(shown(before, { operation: 'checkpoint', window: 'w2', verdict: 'rebuilt' })).toContain('rebuilt');
    // Another client went on in the session, from what was frozen here, and from a window that this one has not heard of.
    const elsewhere = { window: 'w2', verdict: 'damaged' };
    expect(shown(elsewhere, { operation: 'freeze', window: 'w2', verdict: 'proven' })).toContain('damaged');
    expect(shown(elsewhere, { operation: 'thaw', window: 'w1', verdict: 'proven' })).toContain('damaged');
  });

  test('what opening the folder proved is shown, whatever the session was thawed from, and its tooltip says it in a sentence', () => {
    const session = aSession({ thawedFrom: { window: 'w1', verdict: 'partial' } });
    const receipt = aReceipt({
      operation: 'thaw',
      window: `auto-${session.id}`,
      ofCheckpoint: true,
      verdict: 'proven',
      summary: 'All came back.',
    });
    const receipts = new Map([[session.id, receipt]]);
    const view = statusBarView(aState({ currentSession: { kind: 'session', session }, receipts }));
    expect(view.text).toContain('proven');
    expect(view.tooltip).toContain('All came back.');
  });

  test('EC-011 warns from 0.85 of the limit on and alarms from 0.95 on, also in words', () => {
    const at = (count: number): string => {
      const tokens = { count, promptCount: count, sha256: 'x', source: 'engine', messageCount: 1 } as const;
      return statusBarView(aState({ currentSession: { kind: 'session', session: aSession({ tokens }) } })).severity;
    };
    expect([27_199, 27_200, 30_399, 30_400, 40_000].map(at)).toEqual([
      'normal',
      'warning',
      'warning',
      'error',
      'error',
    ]);
    const tokens = { count: 31_000, promptCount: 1, sha256: 'x', source: 'engine', messageCount: 1 } as const;
    expect(
      statusBarView(aState({ currentSession: { kind: 'session', session: aSession({ tokens }) } })).label,
    ).toContain('nearly full');
  });

  test('an unknown limit is left out, not guessed', () => {
    const view = statusBarView(aState({ currentSession: { kind: 'session', session: aSession({ model: null }) } }));
    expect(view.text).toBe('$(comment-discussion) auth-refactor 8.2K open');
  });

  test('a backend or an engine that is down is shown by an icon, in words and with its code', () => {
    const error = new CwmError('BackendUnavailable', 'The backend has ended.');
    const gone = statusBarView(aState({ currentSession, connection: { kind: 'failed', error } }));
    expect(gone.text).toContain('$(debug-disconnect)');
    expect(gone.tooltip).toContain('CWM-5010');
    expect(gone.label).toContain('the backend is not running');
    const empty = statusBarView(aState({ connection: { kind: 'failed', error } }));
    expect(empty.label).toContain('CWM-5010');
  });

  test('V3 names the project, and what becomes of the KV of its session: it asks, and never with a pop-up', () => {
    const project = { kind: 'folder', uri: projectUri('file:///home/me/orchard'), name: 'orchard' } as const;
    const warming = { tokens: 8192, tokensBehind: 0, kvBytes: 50_000_000, loadMs: 120, receipt: null };
    const shown = (state: 'running' | 'ask' | 'done') =>
      statusBarView(
        aState({
          currentSession,
          project,
          warmings: new Map([['session-1', { ...warming, state, computeMs: 40_000, why: 'Its KV is gone.' }]]),
        }),
      );
    expect(shown('running')).toMatchObject({
      text: '$(sync~spin) orchard · auth-refactor 8.2K/32K loading',
      label: expect.stringContaining('in orchard, open, its KV is being brought back') as unknown,
      asks: false,
    });
    expect(shown('ask')).toMatchObject({ text: '$(question) orchard · auth-refactor 8.2K/32K load KV?', asks: true });
    expect(shown('ask').tooltip).toMatch(/Its KV is gone[\s\S]*Computing them takes about 40.*s, loading 50 MB about/);
    expect(shown('done').text).toBe('$(comment-discussion) orchard · auth-refactor 8.2K/32K open');
    expect(shown('done').tooltip).toMatch(/Computing them takes about/);
  });

  test('while something runs it says what', () => {
    const view = statusBarView(aState({ currentSession, operations: [{ title: 'Thawing w', step: 'Loading KV' }] }));
    expect(view.text).toBe('$(sync~spin) Thawing w');
    expect(view.label).toBe('Thawing w: Loading KV');
  });

  test('a name cannot smuggle an icon in, and a long one is cut', () => {
    const session = aSession({ title: `$(error) ${'x'.repeat(60)}` });
    const view = statusBarView(aState({ currentSession: { kind: 'session', session } }));
    expect(view.text).not.toContain('$(error)');
    expect(view.text.length).toBeLessThan(70);
  });
});
