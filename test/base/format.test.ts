import { describe, expect, test } from 'vitest';
import { formatAge, formatBytes, formatDuration, formatTokens } from '../../src/base/format.ts';

const now = new Date('2026-11-20T10:03:00.000Z');

describe('numbers for people', () => {
  test('counts, sizes, durations and ages have the unit that a reader expects', () => {
    expect([1, 8192].map(formatTokens)).toEqual(['1 token', '8,192 tokens']);
    expect([0, 999, 1000, 12_600_000, 999_960, 4.3e9].map(formatBytes)).toEqual([
      '0 B',
      '999 B',
      '1 kB',
      '12.6 MB',
      '1 MB',
      '4.3 GB',
    ]);
    expect([0, 3.25, 46.2, 999.4, 999.6, 4200, 185_000].map(formatDuration)).toEqual([
      '0 ms',
      '3.3 ms',
      '46 ms',
      '999 ms',
      '1 s',
      '4.2 s',
      '3 min 5 s',
    ]);
    const ages = ['10:02:30', '10:00:00', '05:00:00'].map((time) => formatAge(`2026-11-20T${time}.000Z`, now));
    expect(ages).toEqual(['just now', '3 min ago', '5 h ago']);
    expect(formatAge('2026-11-08T10:00:00.000Z', now)).toBe('12 d ago');
    expect(formatAge('2027-01-01T00:00:00.000Z', now)).toBe('just now');
    expect(formatAge('never', now)).toBe('at an unknown time');
  });

  test('a duration that rounds up to a minute does not read as 60 seconds', () => {
    expect(formatDuration(119_700)).toBe('2 min 0 s');
  });
});
