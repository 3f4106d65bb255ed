import { describe, expect, test } from 'vitest';
import { alertsOf } from '../../../src/backend/metrics/alerts.ts';
import { Metrics, type Observed } from '../../../src/backend/metrics/metrics.ts';
import { noEvidence } from '../../../src/core/ports/engine.ts';

const idle: Observed = { space: null, engines: [], queues: { operations: 0, operationLimit: 10, clients: 0 } };
const turn = (cachedTokens: number | null) => ({
  promptTokens: 64,
  cachedTokens,
  outputIds: [1, 2],
  prefixBreak: null,
});

function counted(): Metrics {
  const metrics = new Metrics(() => 0);
  for (const cached of [32, 48, 64, 0, null]) metrics.answered('send', turn(cached));
  metrics.generated('vllm', { reuse: { ...noEvidence(64), cachedTokens: 48 }, outputIds: [1, 2] });
  metrics.generated('llama-server', { reuse: noEvidence(10), outputIds: [1] });
  return metrics;
}

const valueOf = (text: string, line: string): number => Number(new RegExp(`^${line} (.*)$`, 'm').exec(text)?.[1]);

describe('metrics', () => {
  test('S0-52 hits and misses are those that happened, and go on in the next process', async () => {
    const before = counted();
    const after = new Metrics(() => 0);
    after.remember(await before.remembered());
    after.answered('send', turn(0));
    const { turns, cache } = await after.json(idle);
    expect(turns).toEqual({ hits: 3, misses: 2, unknown: 1, hitRate: 0.6 });
    expect(cache.engines).toContainEqual({ kind: 'vllm', connected: false, cachedTokens: 48, hitRate: 0.75 });
  });

  test('S0-14 what is not known is null, never 0', async () => {
    expect((await new Metrics(() => 0).json(idle)).turns.hitRate).toBeNull();
    const { cache, alerts, space } = await counted().json({
      ...idle,
      engines: [{ kind: 'llama-server', reachable: true }],
    });
    expect(space).toBeNull();
    expect(cache.kv).toEqual({ totalBlocks: null, totalBytes: null });
    expect(cache.engines).toContainEqual({ kind: 'llama-server', connected: true, cachedTokens: null, hitRate: null });
    expect(alerts.find(({ name }) => name === 'storage')).toMatchObject({ value: null, level: null });
    expect(await counted().text(idle)).not.toMatch(/^cwm_space_bytes\{/m);
  });

  test('tokens are counted by engine: prompted, reused, computed and generated', async () => {
    const text = await counted().text(idle);
    for (const [tokens, count] of Object.entries({ prompted: 64, reused: 48, computed: 16, generated: 2 }))
      expect(valueOf(text, `cwm_tokens_total\\{engine="vllm",tokens="${tokens}"\\}`), tokens).toBe(count);
  });

  test('operations are counted by how they ended, receipts by their verdict, and failures that neither a caller nor a setting caused as edge cases', async () => {
    let nowMs = 0;
    const metrics = new Metrics(() => nowMs);
    metrics.ended('freeze', 'ok', null, 0.3);
    metrics.answered('freeze', { verdict: 'proven' });
    metrics.answered('thaw', { verdict: 'a word of a later version' });
    metrics.ended('thaw', 'WindowNotFound', 'CWM-2002', 0.001);
    for (let count = 0; count < 10; count++) metrics.ended('send', 'EngineTimeout', 'CWM-6001', 60);
    metrics.ended('send', 'EngineDenied', 'CWM-5006', 0.1);
    const text = await metrics.text(idle);
    expect(valueOf(text, 'cwm_operations_total\\{operation="freeze",outcome="ok"\\}')).toBe(1);
    expect(valueOf(text, 'cwm_operation_duration_seconds_bucket\\{le="0.5",operation="freeze"\\}')).toBe(1);
    expect(valueOf(text, 'cwm_verdicts_total\\{operation="thaw",verdict="other"\\}')).toBe(1);
    expect(text).not.toContain('kind="WindowNotFound"');
    expect(text, 'what the settings name').not.toContain('kind="EngineDenied"');
    const edge = async () => (await metrics.json(idle)).alerts.find(({ name }) => name === 'edge-cases');
    expect(await edge()).toMatchObject({ value: 10, level: 'critical' });
    nowMs += 60_001;
    expect(await edge()).toMatchObject({ value: 0, level: 'ok' });
  });
});

describe('S0-81 what needs a look', () => {
  const calm = { usedBytes: 0, quotaBytes: 100, running: 0, limit: 10, edgeCasesPerMinute: 0, corrupted: 0 };
  const levelOf = (name: string, facts: Partial<typeof calm>) =>
    alertsOf({ ...calm, ...facts }).find((alert) => alert.name === name)?.level;

  test.each([
    ['storage', { usedBytes: 79 }, { usedBytes: 80 }, { usedBytes: 95 }],
    ['concurrency', { running: 4 }, { running: 5 }, { running: 9 }],
    ['edge-cases', { edgeCasesPerMinute: 0 }, { edgeCasesPerMinute: 1 }, { edgeCasesPerMinute: 10 }],
  ])('%s is ok, then a warning, then critical', (name, ok, warning, critical) => {
    expect([ok, warning, critical].map((facts) => levelOf(name, facts))).toEqual(['ok', 'warning', 'critical']);
  });

  test('one damaged record is critical', () => {
    expect(levelOf('corruption', {})).toBe('ok');
    expect(levelOf('corruption', { corrupted: 1 })).toBe('critical');
  });
});
