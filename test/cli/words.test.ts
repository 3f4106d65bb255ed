import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { projectUri } from '../../src/cli/arguments.ts';
import { absoluteEngine } from '../../src/cli/engineSpec.ts';
import { formatTable, plural } from '../../src/cli/terminal/layout.ts';
import { Progress } from '../../src/cli/terminal/progress.ts';
import { readableText } from '../../src/cli/terminal/readableText.ts';
import { receiptInWords } from '../../src/cli/receiptInWords.ts';
import { storagePath } from '../../src/client/storagePath.ts';
import type { Receipt } from '../../src/protocol/schemas/receipt.ts';
import { FakeTerminal } from './support/fakeTerminal.ts';
import { sessionId, windowName } from '../support/ids.ts';

const receipt: Receipt = {
  operation: 'thaw',
  session: sessionId('s'),
  window: windowName('w'),
  verdict: 'proven',
  tier: 'disk',
  tokens: 8200,
  promptTokens: 8200,
  cachedTokens: 8192,
  floorTokens: 8192,
  blockTokens: 32,
  cachedTokensFrom: 'usage',
  content: {
    checksums: 'agreed',
    canary: 'agreed',
    blocksChecked: 256,
    blocksHashed: 0,
    blocksDamaged: 0,
    blocksMissing: 0,
    canaryDifference: 0,
    canaryNoise: 0,
    why: null,
  },
  repair: 'none',
  kvBytes: 16_777_216,
  kvBytesWritten: 0,
  timeToFirstTokenMs: 40,
  ms: 61,
  expectedPrefillMs: 4300,
  engine: { kind: 'embedded', version: '1', model: 'noise' },
  serverIdle: true,
  counters: {},
  summary: 'Proven: it is back.',
  notes: ['A note.'],
  at: '2026-01-01T00:00:00.000Z',
};

afterEach(() => void vi.useRealTimers());

describe('cwm in words', () => {
  it('says the result first and its evidence below', () => {
    const lines = receiptInWords(receipt).split('\n');
    expect(lines[0]).toBe('Proven: it is back.');
    expect(lines.slice(1)).toEqual([
      '  window      w',
      '  session     s',
      '  verdict     proven (disk)',
      '  tokens      8,200',
      "  reused      8,192 of 8,200 (by the engine's usage), at most 8,192 could be",
      '  content     checksums of 256 blocks agreed, canary agreed, difference 0 nats',
      '  KV          16.8 MB on disk, 0 B written',
      '  took        61 ms',
      '  without KV  about 4.3 s',
      '  engine      embedded 1, noise',
      '  · A note.',
    ]);
  });

  it('leaves out what is not known instead of calling it 0', () => {
    const words = receiptInWords({
      ...receipt,
      verdict: 'text-only',
      tier: null,
      promptTokens: null,
      cachedTokens: null,
      kvBytes: null,
      kvBytesWritten: null,
      expectedPrefillMs: null,
      engine: null,
      content: {
        ...receipt.content,
        checksums: 'not-run',
        canary: 'not-run',
        canaryDifference: null,
        why: 'no engine',
      },
    });
    expect(words).not.toMatch(/reused|KV|engine {2}/);
    expect(words).toContain('not checked: no engine');
    const silent = receiptInWords({ ...receipt, verdict: 'unobserved', cachedTokens: null, floorTokens: null });
    expect(silent).toContain('the engine does not say');
  });

  it('writes amounts for people', () => {
    expect([plural(1, 'file'), plural(1200, 'file')]).toEqual(['1 file', '1,200 files']);
    expect(
      formatTable(
        ['A', 'B'],
        [
          ['long', 'x'],
          ['ü', ''],
        ],
      ),
    ).toBe('A     B\nlong  x\nü');
  });

  it('lets no title give the terminal orders or forge a row', () => {
    expect(formatTable(['TITLE', 'STATE'], [['a\nforged  row', 'x']]).split('\n')).toHaveLength(2);
    expect(readableText('\u001b]0;owned\u0007 \u009b31m \rover\u007f')).toBe('␛]0;owned␇ �31m ␍over␡');
    expect(readableText('one\r\ntwo\tthree\n')).toBe('one\r\ntwo\tthree\n');
  });

  it('finds the storage directory by option, by environment, then by the system', () => {
    expect(storagePath('here', { CWM_STORAGE: '/there' }, '/cwd')).toBe(resolve('/cwd', 'here'));
    expect(storagePath(undefined, { CWM_STORAGE: 'there' }, '/cwd')).toBe(resolve('/cwd', 'there'));
    // No shell replaces the tilde of --storage=~/cwm.
    expect(storagePath('~/cwm', {}, '/cwd')).toBe(join(homedir(), 'cwm'));
    if (process.platform === 'linux') {
      const xdg = storagePath(undefined, { XDG_DATA_HOME: '/data' }, '/cwd');
      expect(xdg).toBe('/data/context-window-manager');
      expect(storagePath(undefined, { XDG_DATA_HOME: 'relative' }, '/cwd')).toMatch(/^\//);
      expect(storagePath(undefined, {}, '/cwd')).toMatch(/\/\.local\/share\/context-window-manager$/);
    }
  });

  it('names files and folders so that the backend finds them, wherever it runs', async () => {
    expect(absoluteEngine('embedded:~/a.gguf', '/cwd')).toBe(`embedded:${join(homedir(), 'a.gguf')}`);
    expect(absoluteEngine('embedded:models/a.gguf', '/cwd')).toBe(`embedded:${resolve('/cwd/models/a.gguf')}`);
    expect(['embedded', 'http://host:1'].map((spec) => absoluteEngine(spec, '/cwd'))).toEqual([
      'embedded',
      'http://host:1',
    ]);
    expect(await projectUri('vscode-remote://x/y', '/cwd')).toBe('vscode-remote://x/y');
    expect(await projectUri('gone', '/cwd')).toBe('file:///cwd/gone');
  });
});

describe('progress', () => {
  it('shows the step and the seconds after a second, and takes its line away at the end', () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
    const terminal = new FakeTerminal();
    const progress = new Progress(terminal, 'Freezing');
    vi.advanceTimersByTime(900);
    expect(terminal.stderr).toBe('');
    vi.advanceTimersByTime(200);
    expect(terminal.stderr).toMatch(/Freezing 1 s$/);
    progress.show('Asking the engine to keep the KV');
    vi.advanceTimersByTime(2000);
    expect(terminal.stderr).toMatch(/Asking the engine to keep the KV 3 s$/);
    progress.dispose();
    expect(terminal.stderr.endsWith('\r\u001b[K')).toBe(true);
  });

  it('writes nothing for what is quick', () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
    const terminal = new FakeTerminal();
    const progress = new Progress(terminal, 'Listing');
    vi.advanceTimersByTime(500);
    progress.dispose();
    expect(terminal.stderr).toBe('');
  });
});
