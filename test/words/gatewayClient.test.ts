import { describe, expect, test } from 'vitest';
import { clientRow } from '../../src/vscode/render/clientRow.ts';
import type { GatewayClient } from '../../src/words/clients.ts';

const codex: GatewayClient = {
  name: 'codex',
  createdAt: '2026-11-29T12:00:00.000Z',
  records: true,
  tools: 'all',
  requests: 6,
  turns: 4,
  sessions: 2,
  lastSession: 's1',
  lastSessionTitle: 'Mend the build',
  promptTokens: 20_000,
  cachedTokens: 10_900,
  tokensAgain: 9100,
  msAgain: 12_480,
  breaks: { system: 1, tools: 0, messages: 0 },
  lastBreak: 'the system prompt changed at "Today"',
  lastRequestAt: null,
  project: 'file:///home/me/pear%20tree',
};

describe('a client of the gateway, as its row shows it', () => {
  const descriptionOf = (change: Partial<GatewayClient> = {}): string | null =>
    clientRow({ ...codex, ...change }, new Date(0)).description;

  test('names the folder of its project, its last session, what was reused, and what was computed again with the seconds that took', () => {
    expect(descriptionOf()).toBe(
      'pear tree · Mend the build · 4 turns · 54 % reused · computed again: 9,100 (12.5 s) · breaks: 1 system prompt',
    );
    expect(descriptionOf({ lastSessionTitle: null })).toContain(' · s1 · ');
  });

  test('tells in its tooltip when it was last here', () => {
    const tooltipOf = (lastRequestAt: string | null) =>
      clientRow({ ...codex, lastRequestAt }, new Date('2026-11-29T12:05:00.000Z')).tooltip;
    expect(tooltipOf('2026-11-29T12:00:00.000Z')).toMatch(/Last request.*5 min(utes)? ago/);
    expect(tooltipOf(null)).toContain('/home/me/pear tree');
    expect(tooltipOf(null)).toMatch(/Last request.*none since the backend started/);
  });

  test('says what it may not do', () => {
    expect(descriptionOf({ records: false, tools: 'read' })).toMatch(/ · not recorded · read-only tools$/);
    expect(descriptionOf()).not.toMatch(/record|only/);
  });

  test('says which conversations are not stored, and why', () => {
    const unrecorded = [{ session: 's1', why: 'The disk is full.', since: '2026-11-29T12:00:00.000Z' }];
    expect(descriptionOf({ unrecorded })).toMatch(/ · 1 conversation not stored$/);
    expect(clientRow({ ...codex, unrecorded }, new Date(0)).tooltip).toMatch(/Not stored.*s1: The disk is full\./);
    expect(descriptionOf({ unrecorded: [] })).not.toContain('stored');
    const many = Array.from({ length: 11 }, (_, at) => ({ ...unrecorded[0]!, session: `s${at + 1}` }));
    expect(descriptionOf({ unrecorded: many })).toMatch(/ · 11 conversations not stored$/);
    const { tooltip } = clientRow({ ...codex, unrecorded: many }, new Date(0));
    expect(tooltip).toContain('s10: ');
    expect(tooltip).not.toContain('s11: ');
  });
});
