import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LogFile } from '../../../src/backend/process/logFile.ts';
import { CwmError } from '../../../src/protocol/errors.ts';
import { logLevels } from '../../../src/protocol/log.ts';
import { temporaryDirectories } from '../support/temporaryDirectory.ts';

const makeDirectory = temporaryDirectories();
const linesOf = (path: string): Record<string, unknown>[] =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe('log file', () => {
  it('S0-70 has one JSON object per line, with the causes that no client gets', () => {
    const path = join(makeDirectory(), 'backend.log');
    const log = new LogFile(path);
    log.write('info', 'started', { pid: 7 });
    const cause = new Error('the cable');
    log.failure('request failed', new CwmError('WriteFailed', 'It was not written.', { cause }), { route: '/x' });
    log.close();
    expect(linesOf(path)).toMatchObject([
      { level: 'info', event: 'started', pid: 7, at: expect.stringMatching(/^\d{4}-/) },
      {
        level: 'error',
        event: 'request failed',
        route: '/x',
        code: 'CWM-4001',
        error: 'It was not written. ← the cable',
      },
    ]);
  });

  it('stays within its size, and retains as much again', () => {
    const path = join(makeDirectory(), 'backend.log');
    const log = new LogFile(path, { maxBytes: 4096 });
    for (let index = 0; index < 500; index++) log.write('info', 'event', { index });
    log.close();
    expect(statSync(path).size).toBeLessThanOrEqual(4096);
    expect(statSync(`${path}.1`).size).toBeLessThanOrEqual(4096);
    expect(linesOf(path).at(-1)).toMatchObject({ index: 499 });
    const kept = [...linesOf(`${path}.1`), ...linesOf(path)].map(({ index }) => Number(index));
    expect(kept).toEqual(kept.map((_, at) => 500 - kept.length + at));
  });

  it('leaves out what is less urgent than asked for', () => {
    const path = join(makeDirectory(), 'backend.log');
    const log = new LogFile(path, { level: 'warning' });
    for (const level of logLevels) log.write(level, level);
    log.close();
    expect(linesOf(path).map(({ event }) => event)).toEqual(['warning', 'error']);
  });

  it('S0-82 has a line for people when it is asked for text', () => {
    const path = join(makeDirectory(), 'backend.log');
    const log = new LogFile(path, { format: 'text' });
    log.write('warning', 'operation failed', { code: 'CWM-5001', ms: 12, reason: 'two words', nothing: undefined });
    log.close();
    expect(readFileSync(path, 'utf8')).toMatch(
      /^\d{4}-\S+Z warning operation failed code=CWM-5001 ms=12 reason="two words"\n$/,
    );
  });

  it('appends after lines that other processes wrote', () => {
    const path = join(makeDirectory(), 'backend.log');
    new LogFile(path).write('info', 'first');
    new LogFile(path).write('info', 'second');
    expect(linesOf(path).map(({ event }) => event)).toEqual(['first', 'second']);
  });
});
