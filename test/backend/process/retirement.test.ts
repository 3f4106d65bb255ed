import { describe, expect, it } from 'vitest';
import { Retirement } from '../../../src/backend/process/retirement.ts';
import { CwmError } from '../../../src/protocol/errors.ts';

const idle = { running: 0, settled: () => Promise.resolve() };

describe('a backend whose store is only read', () => {
  it('refuses the first change with the reason, and sends the next ones to the backend that looks again', () => {
    const retirement = new Retirement(
      idle,
      () => {},
      () => {},
    );
    const full = new CwmError('StorageFull', 'The disk is full.');

    expect(retirement.refusal(full)).toBe(full);

    expect(retirement.refusal(full)).toMatchObject({ name: 'BackendUnavailable', context: { reconnect: true } });
  });

  it('stays where only a newer version of the product could write, and says so each time', () => {
    const retirement = new Retirement(
      idle,
      () => {},
      () => {},
    );
    const newer = new CwmError('UnsupportedSchema', 'A newer version wrote this store.');

    expect([retirement.refusal(newer), retirement.refusal(newer)]).toEqual([newer, newer]);
    expect(retirement.noMoreWhy).toBeNull();
  });
});
