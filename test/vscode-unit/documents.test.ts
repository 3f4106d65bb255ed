import { describe, expect, test } from 'vitest';
import { receiptText, windowReceiptsText } from '../../src/vscode/render/receiptText.ts';
import { doctorReport } from '../../src/vscode/render/doctorReport.ts';
import { statusReport } from '../../src/vscode/render/statusReport.ts';
import { healthAnswer } from './fakeBackend.ts';
import { aReceipt, aSession, aState, aWindow } from './builders.ts';
import { windowName } from '../support/ids.ts';

describe('documents', () => {
  test('a receipt reads in plain words first and has its evidence below', () => {
    expect(receiptText(aReceipt())).toMatchInlineSnapshot(`
      "Thaw at 2026-11-20 10:00:00 UTC
      -------------------------------
      Verdict: proven (from disk)

      8,176 of 8,192 tokens were reused from disk.
      The model server reused every token it could, and the checksums of the files agreed.

      Evidence
        Context                8,192 tokens
        Prompt tokens          8,192
        Reused tokens          8,176 (from the response's usage)
        Reusable at most       8,176 (blocks of 16 tokens)
        Served from            disk
        Server otherwise idle  yes
        Block checksums        agreed (511 blocks, 0 hashed again, 0 damaged, 0 missing)
        Canary                 agreed (difference 0 nats, noise of the model server 0 nats)
        Repair                 none was needed
        KV on disk             12.6 MB
        KV written now         0 B
        Time to first token    46 ms
        Whole operation        120 ms
        Time without KV        about 4.2 s
        Model server           embedded 0.1.0
        Model                  tiny

      Change of the server's counters
        vllm:prompt_tokens_by_source_total{source="local_cache_hit"}  8,176"
    `);
  });

  test('what was not observed is said, not shown as 0', () => {
    const content = {
      ...aReceipt().content,
      checksums: 'not-run',
      canary: 'not-run',
      why: 'The engine gives no logprobs.',
    } as const;
    const text = receiptText(
      aReceipt({
        verdict: 'unobserved',
        tier: null,
        cachedTokens: null,
        cachedTokensFrom: 'none',
        kvBytes: null,
        content,
      }),
    );
    expect(text).toMatch(/Reused tokens +not observed \(nothing was reported\)/);
    expect(text).toMatch(/KV on disk +not observed/);
    expect(text).toMatch(/Why a check did not run +The engine gives no logprobs\./);
    expect(text).not.toMatch(/Block checksums.*511/);
  });

  test('a window lists its receipts, the newest first', () => {
    const older = aReceipt({ operation: 'freeze', verdict: null, at: '2026-11-19T10:00:00.000Z' });
    const text = windowReceiptsText({
      summary: aWindow({ description: 'Before the rewrite.' }),
      lineageWindows: [windowName('root'), windowName('auth-refactor-1')],
      receipts: [older, aReceipt()],
    });
    expect(text.indexOf('Thaw at')).toBeGreaterThan(0);
    expect(text.indexOf('Thaw at')).toBeLessThan(text.indexOf('Freeze at'));
    expect(text).toContain('root > auth-refactor-1');
  });

  test('the doctor and the status are tables and sentences that say what to do', () => {
    const engine = {
      spec: 'http://localhost:8000',
      reachable: false,
      kind: null,
      version: null,
      model: null,
      maxModelLen: null,
      blockTokens: null,
      pid: null,
      url: null,
      problem: { code: 'CWM-5001', message: 'Nobody listens.', hint: 'Start the model server.' },
      notices: [],
    };
    const findings = [{ name: 'Reach', state: 'failed', detail: 'refused | twice', remedy: 'Start it.' } as const];
    const doctor = doctorReport({ engine, findings, capabilities: null });
    expect(doctor).toContain('| Reach | ✗\u{a0}failed | refused \\| twice | Start it. |');
    expect(doctor).toContain('CWM-5001');
    expect(doctor).not.toContain('What the model server can do');
    const items = [{ name: 'isolation', state: 'no', found: 'The salt | is ignored.', remedy: 'Change it.' }] as const;
    const capabilities = { items: [...items], blockTokens: 16, cost: { requests: 4, promptTokens: 194, ms: 80 } };
    const probed = doctorReport({ engine, findings, capabilities });
    expect(probed).toContain('with 4 tiny requests of 194 tokens in all');
    expect(probed).toContain('| Keeps conversations apart | ✗\u{a0}no | The salt \\| is ignored. | Change it. |');
    const status = statusReport(aState({ currentSession: { kind: 'session', session: aSession() } }), null);
    expect(status).toContain('26 % full: 8,192 tokens of 32,000 tokens');
    expect(status).toContain('The backend is not running');
    const checkpoint = {
      window: 'auto-plums',
      tokens: 3435,
      verdict: 'proven',
      kvBytesWritten: 1_500_000,
      ms: 385,
      at: '2026-01-01T00:00:00Z',
    };
    const about = { health: healthAnswer, encryption: { state: 'off', keyId: null, keyFile: null }, checkpoint };
    expect(
      statusReport(aState({ currentSession: { kind: 'session', session: aSession() } }), about as never),
    ).toContain('Checkpoint: auto-plums, 3,435 tokens, proven, 1.5 MB of KV written, took 385 ms');
  });

  test('S0-61 the status says with which key the storage is encrypted, and nothing of it where it is not', () => {
    const health = { ...healthAnswer, storage: '/storage' };
    const plain = { state: 'off', keyId: null, keyFile: null } as const;
    const encrypted = { state: 'on', keyId: '0123456789abcdef', keyFile: '/stick/store.key' } as const;
    expect(statusReport(aState(), { health, encryption: encrypted })).toContain(
      '\n- Encrypted: with key 0123456789abcdef, stored in /stick/store.key\n',
    );
    expect(statusReport(aState(), { health, encryption: plain })).not.toContain('ncrypted');
    const on = (isThere: boolean) => statusReport(aState({ remote: { name: 'ssh-remote', isThere } }), null);
    expect(on(true)).toContain('It runs where the files are (ssh-remote)');
    expect(on(false)).toContain('It runs on your own machine, and the files are elsewhere (ssh-remote)');
    expect(statusReport(aState(), null)).not.toContain('It runs');
  });
});
