import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Run } from '../../src/cli/run.ts';
import { absolutePath } from '../../src/client/absolutePath.ts';
import { withAbsoluteModel } from '../../src/protocol/engineSpec.ts';
import { formatFacts, formatTable } from '../../src/cli/terminal/layout.ts';
import { ProgressLine } from '../../src/cli/terminal/progress.ts';
import { readableText } from '../../src/base/readableText.ts';
import { receiptText } from '../../src/cli/receiptText.ts';
import { storagePath } from '../../src/client/storagePath.ts';
import { aReceipt } from '../support/aReceipt.ts';
import { FakeTerminal } from './support/fakeTerminal.ts';

afterEach(() => void vi.useRealTimers());

describe('cwm in words', () => {
  it('says the result first and its evidence below', () => {
    const lines = receiptText(aReceipt({ notes: ['A note.'] })).split('\n');
    expect(lines.slice(0, 5)).toEqual([
      '8,176 of 8,192 tokens were reused from disk.',
      'The model server reused every token it could, and the checksums of the files agreed.',
      '  Window                 auth-refactor-1',
      '  Session                session-1',
      '  Verdict                proven (from disk)',
    ]);
    expect(lines).toContain("  Reused tokens          8,176 (from the response's usage)");
    expect(lines.at(-1)).toBe('  · A note.');
  });

  it('leaves out a fact that was not observed instead of calling it 0', () => {
    expect(
      formatFacts([
        ['Seen', '0'],
        ['Not seen', null],
      ]),
    ).toBe('  Seen  0');
    expect(receiptText(aReceipt({ promptTokens: null, kvBytes: null }))).not.toMatch(/Prompt tokens|KV on disk/);
  });

  it('lays a table out in columns under capital letters', () => {
    const rows = [
      ['long', 'x'],
      ['ü', ''],
    ];
    expect(formatTable({ head: ['Name', 'B'], rows })).toBe('NAME  B\nlong  x\nü');
  });

  it('lets no title give the terminal orders or forge a row', () => {
    expect(formatTable({ head: ['Title', 'Lifecycle'], rows: [['a\nforged  row', 'x']] }).split('\n')).toHaveLength(2);
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
    const absoluteEngine = (spec: string) => withAbsoluteModel(spec, (path) => absolutePath(path, '/cwd'));
    expect(absoluteEngine('embedded:~/a.gguf')).toBe(`embedded:${join(homedir(), 'a.gguf')}`);
    expect(absoluteEngine('embedded:models/a.gguf')).toBe(`embedded:${resolve('/cwd/models/a.gguf')}`);
    expect(['embedded', 'http://host:1'].map((spec) => absoluteEngine(spec))).toEqual(['embedded', 'http://host:1']);
    const run = new Run(new FakeTerminal(), { storage: '/nowhere' });
    expect(await run.project('vscode-remote://x/y')).toBe('vscode-remote://x/y');
  });
});

describe('progress', () => {
  it('shows the step and the seconds after a second, and takes its line away at the end', () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
    const terminal = new FakeTerminal();
    const progress = new ProgressLine(terminal, 'Freezing');
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
    const progress = new ProgressLine(terminal, 'Listing');
    vi.advanceTimersByTime(500);
    progress.dispose();
    expect(terminal.stderr).toBe('');
  });
});
