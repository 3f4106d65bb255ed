import { describe, expect, it } from 'vitest';
import type { SeenSession, SeenWindow } from './facts.ts';
import { Ledger } from './ledger.ts';
import { blockHashChain, defaultHashSeed } from '../../src/base/kvBlockHash.ts';
import type { Receipt } from '../../src/protocol/schemas/receipt.ts';
import { SlotsUnderSoak } from './slotsUnderSoak.ts';
import { VllmUnderSoak } from './vllmUnderSoak.ts';
import { Random } from './random.ts';
import { soak } from './soak.ts';
import { isNightly, runs } from '../support/nightly.ts';

/** Flips no byte that a server takes for the file's form. */
class LastBit extends Random {
  constructor() {
    super(1);
  }

  override below(limit: number): number {
    return limit - 1;
  }
}

/** A night has the soak itself, of ten minutes (`npm run soak`). */
const rounds = runs(2, 24);
const roundsInSight = runs(2, 24);

describe('S4-06 backends that are killed while two windows of VS Code, the command line and a script work with them', () => {
  it(
    `lose nothing that was acknowledged, list nothing half made, and every client ends with the right picture: ${rounds} rounds`,
    { timeout: 300_000 },
    async () => {
      const seed = Number(process.env['CWM_SOAK_SEED'] ?? (isNightly ? Math.floor(Math.random() * 2 ** 32) : 5));
      const report = await soak({ seed, rounds, timeMs: Number.POSITIVE_INFINITY });
      console.log(`seed ${seed}: ${JSON.stringify(report)}`);
      expect(report.rounds).toBe(rounds);
      expect(report.backendKills).toBeGreaterThanOrEqual(rounds);
      expect(report.acknowledged).toBeGreaterThan(rounds);
    },
  );

  it(
    `and prove nothing that is not so while bits of block files in sight are flipped: ${roundsInSight} rounds`,
    { timeout: 300_000 },
    async () => {
      const seed = Number(process.env['CWM_SOAK_SEED'] ?? 6);
      const timeMs = Number.POSITIVE_INFINITY;
      const report = await soak({ seed, rounds: roundsInSight, timeMs, kv: 'files in sight' });
      console.log(`seed ${seed}: ${JSON.stringify(report)}`);
      expect(report.acknowledged).toBeGreaterThan(roundsInSight);
      // On a busy machine, the kills of two rounds may leave no freeze alive.
      if (isNightly) expect(report.freezeVerdicts['proven']).toBeGreaterThan(0);
    },
  );

  it.each(['slots in sight', 'embedded'] as const)(
    `and so with ${roundsInSight} rounds on: %s`,
    { timeout: 300_000 },
    async (kv) => {
      const seed = Number(process.env['CWM_SOAK_SEED'] ?? 7);
      const report = await soak({ seed, rounds: roundsInSight, timeMs: Number.POSITIVE_INFINITY, kv });
      console.log(`seed ${seed}: ${JSON.stringify(report)}`);
      expect(report.acknowledged).toBeGreaterThan(roundsInSight);
    },
  );
});

describe('what the soak would notice', () => {
  const ids = [1, 2, 3];
  const session: SeenSession = { texts: ['hello', 'hi'], ids, sha256: 'a', frozenAs: null, draft: null };
  const window: SeenWindow = { session: 's', texts: ['hello', 'hi'], ids, sha256: 'a', pinned: false };
  const seen = { sessions: new Map([['s', session]]), windows: new Map([['w', window]]) };

  /** Of a session with a turn and a window. */
  function ledger(): Ledger {
    const kept = new Ledger();
    const sent = { text: 'hi', promptTokens: 2, outputIds: [3] };
    kept.end({ name: 'createSession', input: { id: 's' } }, { kind: 'done', output: {} });
    kept.end({ name: 'send', input: { session: 's', text: 'hello' } }, { kind: 'done', output: sent });
    kept.end({ name: 'freeze', input: { session: 's', window: 'w', checkpoint: true } }, { kind: 'done', output: {} });
    return kept;
  }
  const without = { sessions: seen.sessions, windows: new Map() };
  const withSession = (changed: Partial<SeenSession>) => ({
    ...seen,
    sessions: new Map([['s', { ...session, ...changed }]]),
  });
  const withWindow = (changed: Partial<SeenWindow>) => ({
    ...seen,
    windows: new Map([['w', { ...window, ...changed }]]),
  });

  it('nothing, when all is as it was acknowledged', () => {
    expect(ledger().settle(seen)).toEqual([]);
  });

  it.each([
    ['a lost window', without],
    ['a lost session', { sessions: new Map(), windows: seen.windows }],
    ['a lost message', withSession({ texts: ['hello'] })],
    ['another word', withSession({ texts: ['hello', 'ho'] })],
    ['a window with other words', withWindow({ texts: ['hello', 'ho'] })],
    ['other token ids', withSession({ ids: [1, 2, 4] })],
    ['one token id too many', withWindow({ ids: [1, 2, 3, 3] })],
    ['a frozen session that nobody froze', withSession({ frozenAs: 'w' })],
    ['a draft from nowhere', withSession({ draft: 'what' })],
    ['a window that nobody made', { ...seen, windows: new Map([...seen.windows, ['half', window]]) }],
  ])('%s', (_, wrong) => {
    expect(ledger().settle(wrong)).toHaveLength(1);
  });

  it('a false proof', async () => {
    const server = await VllmUnderSoak.start('files in sight');
    try {
      const prompt = Array.from({ length: 40 }, (_, at) => 65 + at);
      const [url = ''] = server.spec.split('#');
      const ask = async (): Promise<void> => {
        const body = JSON.stringify({ model: 'fake-model', prompt, max_tokens: 1, cache_salt: 'salt' });
        const headers = { 'content-type': 'application/json' };
        expect((await fetch(`${url}/v1/completions`, { method: 'POST', headers, body })).status).toBe(200);
      };
      const proof = (cachedTokens: number) =>
        server.falseProof({ verdict: 'proven', cachedTokens } as Receipt, { count: 40, tail: [104], sha256: null });
      await ask();
      expect(proof(32)).toContain('no request');
      await ask();
      expect(proof(32)).toBeNull();
      const profile = { algorithm: 'sha256_cbor', seed: defaultHashSeed, saltEncoding: 'tagged' } as const;
      expect(server.damage(new Random(1), blockHashChain(profile, prompt, 16, 'salt'))).toBe(true);
      await ask();
      expect(proof(32)).toBeNull();
      await server.evict();
      await ask();
      expect(proof(32)).toContain('are not those');
    } finally {
      await server.stop();
    }
  });

  it('a false proof over a slot file', async () => {
    const server = await SlotsUnderSoak.start('fake');
    try {
      const hash = 'a'.repeat(64);
      const [url = ''] = server.spec.split('#');
      const prompt = Array.from({ length: 40 }, (_, at) => 65 + at);
      const post = async (path: string, body: object): Promise<void> => {
        const headers = { 'content-type': 'application/json' };
        expect((await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) })).status).toBe(200);
      };
      const act = (action: string): Promise<void> =>
        post(`/slots/0?action=${action}`, { filename: `cwm-${hash}.slot` });
      const ask = (): Promise<void> =>
        post('/completion', { prompt, id_slot: 0, n_predict: 1, temperature: 0, cache_prompt: true });
      const proof = (): string | null =>
        server.falseProof({ verdict: 'proven', cachedTokens: 39 } as Receipt, { count: 40, tail: [104], sha256: null });
      await ask();
      expect(proof()).toContain('no request');
      await act('save');
      await act('erase');
      await act('restore');
      await ask();
      expect(proof()).toBeNull();
      expect(server.damage(new LastBit(), [hash])).toBe(true);
      await act('restore');
      await ask();
      expect(proof()).toContain('a damaged file');
      await act('save');
      await act('restore');
      await ask();
      expect(proof()).toContain('a damaged file');
      await server.evict();
      await act('erase');
      await ask();
      await ask();
      expect(proof()).toBeNull();
    } finally {
      await server.stop();
    }
  });

  it('token ids that change behind the same end', () => {
    const kept = ledger();
    expect(kept.settle(seen)).toEqual([]);
    expect(kept.settle(withWindow({ ids: [9, 2, 3], sha256: 'b' }))).toHaveLength(1);
  });

  it('a deletion that was not acknowledged may have happened, and one that was must have', () => {
    const deletion = { name: 'deleteWindow', input: { window: 'w' } } as const;
    const [cutOff, acknowledged] = [ledger(), ledger()];
    cutOff.end(deletion, { kind: 'unknown' });
    expect(cutOff.settle(without)).toEqual([]);
    expect(cutOff.settle(seen)).toHaveLength(1);
    acknowledged.end(deletion, { kind: 'done', output: {} });
    expect(acknowledged.settle(seen)).toHaveLength(1);
  });

  it('a turn that was cut off is stored whole, or its text is the draft', () => {
    const turn = { name: 'send', input: { session: 's', text: 'and?' } } as const;
    const cutOff = (): Ledger => {
      const kept = ledger();
      kept.end(turn, { kind: 'unknown' });
      return kept;
    };
    expect(cutOff().settle(withSession({ draft: 'and?' }))).toEqual([]);
    expect(cutOff().settle(seen)).toEqual([]);
    expect(cutOff().settle(withSession({ texts: ['hello', 'hi', 'and?', 'so'], ids: [1, 2, 3, 4] }))).toEqual([]);
    expect(cutOff().settle(withSession({ texts: ['hello', 'hi', 'and?'], draft: 'and?' }))).toHaveLength(1);
  });
});
