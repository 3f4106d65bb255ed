import { describe, expect, test } from 'vitest';
import { CwmError } from '../../src/protocol/errors.ts';
import { parseProjectUri } from '../../src/protocol/ids.ts';
import { verdicts } from '../../src/protocol/schemas/receipt.ts';
import { modelItems } from '../../src/vscode/render/modelItems.ts';
import { nodeId, rootNodes, sessionNodes, windowNodes } from '../../src/vscode/render/treeNodes.ts';
import { treeRow } from '../../src/vscode/render/treeRow.ts';
import { viewMessage } from '../../src/vscode/render/viewMessage.ts';
import { aSession, aState, aWindow, now } from './builders.ts';

describe('V2 the tree', () => {
  const project = { kind: 'folder', uri: parseProjectUri('file:///home/me/project'), name: 'project' } as const;

  test('has the current session first, even when it is not on the page, and each row once', () => {
    const sessions = { kind: 'loaded', items: [aSession({ id: 'a' }), aSession({ id: 'b' })], total: 2 } as const;
    const nodes = rootNodes(aState({ sessions, currentSession: { kind: 'session', session: aSession({ id: 'b' }) } }));
    expect(nodes.map(nodeId)).toEqual(['session:b', 'session:a']);
    const elsewhere = rootNodes(
      aState({ sessions, currentSession: { kind: 'session', session: aSession({ id: 'c' }) } }),
    );
    expect(elsewhere.map(nodeId)).toEqual(['session:c', 'session:a', 'session:b']);
  });

  test('ends in a row for more while there is more', () => {
    const windows = { kind: 'loaded', items: [aWindow()], total: 101 } as const;
    const nodes = windowNodes('session-1', windows);
    expect(nodes.map(nodeId)).toEqual(['window:auth-refactor-1', 'more:session-1']);
    const more = nodes[1];
    expect(more && treeRow(more, aState(), now).label).toBe('Show more (1 of 101 shown)');
    expect(windowNodes('session-1', { ...windows, total: 1 })).toHaveLength(1);
    expect(windowNodes('s', { kind: 'loaded', items: [], total: 0 }).map(nodeId)).toEqual(['empty:s']);
    expect(windowNodes('s', { kind: 'unknown' })).toEqual([]);
  });

  test('a window shows tokens, size, age and the verdict of its last thaw, by icon and by word', () => {
    const row = (lastThaw: { verdict: string; at: string } | null) =>
      treeRow({ kind: 'window', window: 'w', value: aWindow({ lastThaw }) }, aState(), now);
    expect(row(null).description).toBe('8,192 tokens · 12.6 MB · 3 min ago · not thawed yet');
    const at = '2026-11-20T10:01:00.000Z';
    expect(row({ verdict: 'proven', at }).description).toBe('8,192 tokens · 12.6 MB · 3 min ago · proven');
    const icons = verdicts.map((verdict) => row({ verdict, at }).icon);
    expect(new Set(icons).size).toBe(verdicts.length);
    expect(row({ verdict: 'damaged', at }).spoken).toContain('damaged');
  });

  test.each(['\u202e', '\u2066', '\u2028'])('no name turns its row around or breaks it: %j', (hidden) => {
    const evil = `a${hidden}b`;
    const project = `file:///home/me/${encodeURIComponent(evil)}`;
    const value = aSession({ title: evil, project });
    const session = treeRow({ kind: 'session', session: value.id, value }, aState(), now);
    const window = treeRow(
      { kind: 'window', window: 'w', value: aWindow({ model: evil, description: evil }) },
      aState(),
      now,
    );
    const shown = [session, window].flatMap((row) => [row.label, row.description, row.spoken, row.tooltip]);
    const [model] = modelItems([{ id: evil, use: 'chat' }], evil);
    expect([...shown, model?.label].join('')).not.toContain(hidden);
    expect(session.description).toMatch(/a ?b/);
    expect(model?.model, 'what is sent to the server stays').toBe(evil);
  });

  test('S4-02 a session with several branches shows them before its windows, with their tokens and what a sibling shares', () => {
    const branch = {
      name: 'main',
      active: false,
      head: null,
      length: 2,
      parentMessageId: null,
      tokens: 62,
      sharedTokens: 38,
    };
    const main = { ...branch, sharedBlocks: 2, sharedWith: 'branch-2', systemPrompt: null };
    const other = { ...main, name: 'branch-2', active: true, tokens: null, sharedWith: null, systemPrompt: 'brief' };
    const windows = new Map([['s', { kind: 'loaded', items: [aWindow()], total: 1 } as const]]);
    const nodes = sessionNodes('s', { branches: new Map([['s', [main, other]]]), windows });
    expect(nodes.map(nodeId)).toEqual(['branch:s/main', 'branch:s/branch-2', 'window:auth-refactor-1']);
    expect(sessionNodes('s', { branches: new Map([['s', [main]]]), windows })).toHaveLength(1);
    const [first, second] = nodes.map((node) => treeRow(node, aState(), now));
    expect(first).toMatchObject({ description: '62 tokens · shares 38 with branch-2', contextValue: 'branch.main' });
    expect(first?.tooltip).toContain('2 KV blocks');
    expect(second).toMatchObject({ description: 'current · 2 messages', contextValue: 'branch.other.active' });
    expect(second?.tooltip).toContain('System prompt: brief');
  });

  test('a size that was not observed is left out, never 0', () => {
    const row = treeRow({ kind: 'window', window: 'w', value: aWindow({ kvBytes: null }) }, aState(), now);
    expect(row.description).toBe('8,192 tokens · 3 min ago · not thawed yet');
    expect(row.tooltip).toContain('KV on disk: not observed');
  });

  test('a session says what it is doing, and its folder when that is another one and no row above names it', () => {
    const row = (changes: Parameters<typeof aSession>[0], isCurrent = false) => {
      const value = aSession(changes);
      const currentSession = isCurrent ? ({ kind: 'session', session: value } as const) : ({ kind: 'none' } as const);
      return treeRow({ kind: 'session', session: value.id, value }, { currentSession, project }, now);
    };
    expect(row({}, true).description).toBe('current · 8,192 tokens · 3 min ago');
    const strange = aSession({ project: 'file:///home/me/other%20one' });
    expect(row(strange).description).toContain('other one');
    const state = { currentSession: { kind: 'none' }, project, projects: [] } as const;
    const grouped = treeRow({ kind: 'session', session: strange.id, value: strange }, state, now);
    expect(grouped.description + grouped.spoken).not.toContain('other one');
    expect(row({ lifecycle: 'frozen', frozenAs: 'w' }).contextValue).toBe('session.frozen');
    expect(row({ settings: { memory: { enableVm: true } } }).contextValue).toBe('session.idle.memory');
    expect(row({ settings: { memory: { enableVm: false } } }).contextValue).toBe('session.idle');
    const expired = row({ lifecycle: 'expired', expiresAt: '2999-01-31T12:00:00.000Z' });
    expect(expired).toMatchObject({ contextValue: 'session.expired', icon: 'watch' });
    expect(expired.tooltip).toContain('2999-01-31 12:00:00 UTC');
    expect(row({ phase: 'StreamingLLMResponse' })).toMatchObject({
      icon: 'loading~spin',
      contextValue: 'session.busy',
    });
    expect(row({ phase: 'PermanentFailure' })).toMatchObject({ contextValue: 'session.idle' });
  });

  test('the line above says what is down, with its code, and nothing while all is well', () => {
    expect(viewMessage(aState())).toBeNull();
    const error = new CwmError('BackendUnavailable', 'The backend has ended.');
    const sessions = { kind: 'loaded', items: [aSession()], total: 1 } as const;
    const message = viewMessage(aState({ connection: { kind: 'failed', error }, sessions }));
    expect(message).toContain('CWM-5010');
    expect(message).toContain(error.hint);
  });
});
