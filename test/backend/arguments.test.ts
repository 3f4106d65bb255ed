import { describe, expect, it } from 'vitest';
import { parseBackendArguments } from '../../src/backend/arguments.ts';
import { backendFlags, backendSettings, type BackendSetting } from '../../src/protocol/settings/backendSettings.ts';

const limitsOf = (...args: string[]) => parseBackendArguments(['--storage', '/s', ...args]).limits;

describe('limits of the backend', () => {
  it('S0-50 are 50 GB of KV and 100 GB in all, unless it is said otherwise; 0 is no limit', () => {
    expect(limitsOf()).toEqual({
      kvBudgetBytes: 50e9,
      isBudgetOfAllEngines: false,
      storageQuotaBytes: 100e9,
      retentionDays: 0,
    });
    expect(limitsOf('--kv-budget-gb', '0.5')).toMatchObject({ kvBudgetBytes: 5e8, storageQuotaBytes: 100e9 });
    expect(limitsOf('--kv-budget-gb', '0', '--storage-quota-gb', '0')).toMatchObject({
      kvBudgetBytes: null,
      storageQuotaBytes: null,
    });
    expect([limitsOf('--kv-budget-gb', '20'), limitsOf('--kv-budget-gb', '50')]).toMatchObject([
      { isBudgetOfAllEngines: true },
      { isBudgetOfAllEngines: false },
    ]);
    expect(limitsOf('--retention-days', '30').retentionDays).toBe(30);
  });

  it.each(['-1', 'much', '50GB', '', '1e3', '99999999999'])('%j is no number of gigabytes', (value) => {
    for (const flag of ['kv-budget-gb', 'storage-quota-gb']) {
      expect(() => limitsOf(`--${flag}=${value}`)).toThrow(`--${flag} must be a number of gigabytes`);
    }
  });
});

describe('synchronising states by itself', () => {
  const syncOf = (...args: string[]) => parseBackendArguments(['--storage', '/s', ...args]).stateSync;

  it('S3-05 is off without a folder, and then every 60 s unless it is said otherwise; 0 is never', () => {
    expect(syncOf('--state-sync-seconds', '5')).toBeUndefined();
    expect(syncOf('--state-folder', '/shared')).toEqual({ folder: '/shared', intervalMs: 60_000 });
    expect(syncOf('--state-folder', '/shared', '--state-sync-seconds', '0')?.intervalMs).toBe(0);
  });

  it.each(['-1', '1.5', 'often', '1000000', ''])('S3-05 %j is no number of seconds', (value) => {
    expect(() => syncOf(`--state-sync-seconds=${value}`)).toThrow('--state-sync-seconds must be a whole number');
  });
});

describe('which session is selected', () => {
  const trackerOf = (...args: string[]) => parseBackendArguments(['--storage', '/s', ...args]).tracker;

  it('S3-04 must exist, unless the backend is set to create it, and there is none until one is selected', () => {
    expect(trackerOf()).toEqual({ autoCreate: false, defaultSession: null });
    expect(trackerOf('--state-auto-create', 'on', '--state-default-session', 'default')).toEqual({
      autoCreate: true,
      defaultSession: 'default',
    });
  });
});

describe('the log', () => {
  const logOf = (...args: string[]) => {
    const { logLevel, logFormat } = parseBackendArguments(['--storage', '/s', ...args]);
    return [logLevel, logFormat];
  };

  it('S0-82 has changes and failures as JSON, unless it is told otherwise', () => {
    expect(logOf()).toEqual(['info', 'json']);
    expect(logOf('--log-level', 'debug', '--log-format', 'text')).toEqual(['debug', 'text']);
    expect(() => logOf('--log-format', 'xml')).toThrow('--log-format must be one of json, text.');
  });
});

describe('the table of settings', () => {
  const parse = (...args: string[]) => parseBackendArguments(['--storage', '/s', ...args], {});

  it('gives the backend its defaults, and what it writes is read back as it was', () => {
    const defaults = Object.fromEntries(
      Object.entries<BackendSetting>(backendSettings).map(([name, row]) => [name, row.default ?? undefined]),
    );
    expect(parse(...backendFlags(defaults))).toEqual(parse());
    expect(parse(...backendFlags({ idleMinutes: 0.5, rateLimit: 7, logLevel: 'error' }))).toMatchObject({
      idleMs: 30_000,
      ratePerMinute: 7,
      logLevel: 'error',
    });
    expect(parse('--rate-limit', '120/min').ratePerMinute).toBe(120);
  });

  it('says what a value must be, for every row', () => {
    for (const row of Object.values<BackendSetting>(backendSettings)) {
      expect(() => parse(`--${row.flag}=`), row.flag).toThrow(`--${row.flag} must be ${row.means}.`);
    }
  });
});
