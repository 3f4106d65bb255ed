import { describe, expect, test } from 'vitest';
import { CwmError, errors, toCwmError, type ErrorCode } from '../../src/protocol/errors.ts';

describe('errors', () => {
  test('S0-71 a report carries code, message, retryable and hint, and survives the wire', () => {
    const error = new CwmError('WindowExists', 'A window named "x" exists already.', {
      context: { name: 'x' },
      cause: 'secret',
    });
    const report = JSON.parse(JSON.stringify(error.report()));
    expect(report).toEqual({
      code: 'CWM-3003',
      message: 'A window named "x" exists already.',
      retryable: false,
      hint: errors.WindowExists.hint,
      details: { name: 'x' },
    });
    expect(CwmError.fromReport(report).report()).toEqual(report);
  });

  test('S0-71 what nobody expected becomes CWM-9001 and tells nothing of its inside', () => {
    const report = toCwmError(new Error('password=hunter2')).report();
    expect(report.code).toBe('CWM-9001');
    expect(JSON.stringify(report)).not.toContain('hunter2');
  });

  test('an abort and a time-out are different errors', () => {
    expect(toCwmError(AbortSignal.abort().reason).code).toBe('CWM-6003');
    expect(toCwmError(new DOMException('late', 'TimeoutError')).code).toBe('CWM-6002');
  });

  test('S0-70 every code belongs to a family and says what to do next', () => {
    for (const { code, hint, status } of Object.values(errors)) {
      expect(code).toMatch(/^CWM-[1-9]\d{3}$/);
      expect(hint).toMatch(/^[A-Z].*\.$/);
      expect(status).toBeGreaterThanOrEqual(400);
    }
    const codes = Object.values(errors).map(({ code }) => code);
    expect(codes, 'in order').toEqual([...codes].sort());
    expect(new Set(codes).size, 'each once').toBe(codes.length);
  });

  test('a report of an unknown code, from a newer backend, is still an error', () => {
    const report = { code: 'CWM-4242' as ErrorCode, message: 'm', retryable: false, hint: 'h' };
    expect(CwmError.fromReport(report).code).toBe('CWM-9001');
  });
});
