import { describe, expect, test } from 'vitest';
import { parseBackendRecord } from '../../src/protocol/backendRecord.ts';
import { readOperationEvent } from '../../src/protocol/operationEvents.ts';
import { readSignal } from '../../src/protocol/signals.ts';

describe('what clients read without schemas', () => {
  test('a signal has a number and a change of a known type with its fields', () => {
    const signal = { sequence: 3, change: { type: 'session', session: 's', version: 2 } };
    expect(readSignal({ ...signal, later: true })).toStrictEqual(signal);
    const resync = { sequence: 4, change: { type: 'resync' } };
    expect(readSignal(resync)).toStrictEqual(resync);
    for (const other of [
      null,
      {},
      { sequence: '3', change: signal.change },
      { sequence: 3 },
      { sequence: 3, change: null },
      { sequence: 3, change: { type: 'session' } },
      { sequence: 3, change: { type: 'session', session: 1 } },
      { sequence: 3, change: { type: 'session', session: 's', version: '2' } },
      { sequence: 3, change: { type: 'later', session: 's' } },
      { sequence: 3, change: { type: 'toString' } },
    ]) {
      expect(readSignal(other), JSON.stringify(other)).toBeNull();
    }
  });

  test('an event of an operation has its number and what its type says', () => {
    const events = [
      { type: 'progress', sequence: 0, step: 'x' },
      { type: 'text', sequence: 1, text: '' },
      { type: 'result', sequence: 2, result: { a: 1 }, signals: 7 },
      { type: 'error', sequence: 3, error: { code: 'x' } },
    ];
    expect(events.map(readOperationEvent)).toStrictEqual(events);
    for (const other of [
      null,
      { type: 'progress', sequence: 0 },
      { type: 'text', text: 'x' },
      { type: 'later', sequence: 0 },
      { type: 'valueOf', sequence: 0 },
    ]) {
      expect(readOperationEvent(other), JSON.stringify(other)).toBeNull();
    }
  });

  test('the record of a backend has all that a client needs to reach it', () => {
    const record = { pid: 1, version: '0.1.0', address: '/a', startedAt: '2026-01-01T00:00:00Z' };
    expect(parseBackendRecord({ ...record, later: 1 })).toStrictEqual(record);
    const whole = { ...record, token: 't', api: { current: 2, oldest: 1 } };
    expect(parseBackendRecord(whole)).toStrictEqual(whole);
    for (const other of [
      null,
      [],
      { ...record, pid: '1' },
      { ...record, address: undefined },
      { ...record, token: 1 },
      { ...record, api: null },
      { ...record, api: { current: 2 } },
    ]) {
      expect(parseBackendRecord(other), JSON.stringify(other)).toBeNull();
    }
  });
});
