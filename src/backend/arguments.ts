import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { defaultLimits, type SpaceLimits } from '../core/space/limits.ts';
import type { AutoSyncConfig } from '../core/tracker/autoSync.ts';
import { embeddedFlagNames } from '../protocol/embeddedFlags.ts';
import type { EncryptionWish } from '../store/encryption/openEncryption.ts';
import { logFormats, logLevels, type LogFormat, type LogLevel } from '../protocol/log.ts';

export interface BackendArguments {
  readonly storage: string;
  /** A store to be taken over into `storage`; then nothing else is done. */
  readonly takeOver?: string;
  readonly idleMs: number;
  readonly defaultEngine: string;
  readonly embeddedArgs: readonly string[];
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  readonly ratePerMinute: number | null;
  /** Undefined: states are synchronised only when somebody asks for it. */
  readonly stateSync?: AutoSyncConfig;
  readonly encryption: EncryptionWish;
  readonly limits: Pick<SpaceLimits, 'kvBudgetBytes' | 'storageQuotaBytes'>;
}

const embeddedOptions = Object.fromEntries(
  embeddedFlagNames.map((name) => [`embedded-${name}`, { type: 'string' } as const]),
);

const defaultIdleMinutes = 5;

/** @throws Error with a message for people when the arguments are not understood. */
export function parseBackendArguments(args: readonly string[], env: NodeJS.ProcessEnv = process.env): BackendArguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      storage: { type: 'string' },
      'take-over': { type: 'string' },
      'idle-minutes': { type: 'string' },
      engine: { type: 'string' },
      ...embeddedOptions,
      'log-level': { type: 'string' },
      'log-format': { type: 'string' },
      'rate-limit': { type: 'string' },
      'kv-budget-gb': { type: 'string' },
      'storage-quota-gb': { type: 'string' },
      encryption: { type: 'string' },
      'encryption-key-file': { type: 'string' },
      'state-folder': { type: 'string' },
      'state-sync-seconds': { type: 'string' },
    },
  });
  if (values.storage === undefined) throw new Error('--storage DIR is missing.');
  const idleMinutes = Number(values['idle-minutes'] ?? defaultIdleMinutes);
  if (!(idleMinutes >= 0)) throw new Error('--idle-minutes must be a number, 0 for never.');
  const logLevel = logLevels.find((level) => level === (values['log-level'] ?? 'info'));
  if (logLevel === undefined) throw new Error(`--log-level must be one of ${logLevels.join(', ')}.`);
  const logFormat = logFormats.find((format) => format === (values['log-format'] ?? 'json'));
  if (logFormat === undefined) throw new Error(`--log-format must be one of ${logFormats.join(', ')}.`);
  const stateFolder = values['state-folder'];
  const syncMs = parseSyncSeconds(values['state-sync-seconds']);
  return {
    ...(stateFolder !== undefined && { stateSync: { folder: resolve(stateFolder), intervalMs: syncMs } }),
    storage: resolve(values.storage),
    ...(values['take-over'] !== undefined && { takeOver: resolve(values['take-over']) }),
    idleMs: idleMinutes * 60_000,
    logLevel,
    logFormat,
    ratePerMinute: parseRate(values['rate-limit']),
    encryption: {
      turn: parseTurn(values.encryption),
      keyFile: absolute(values['encryption-key-file'] ?? env['CWM_ENCRYPTION_KEY_FILE']),
    },
    limits: {
      kvBudgetBytes: parseGigabytes('kv-budget-gb', values['kv-budget-gb'], defaultLimits.kvBudgetBytes),
      storageQuotaBytes: parseGigabytes(
        'storage-quota-gb',
        values['storage-quota-gb'],
        defaultLimits.storageQuotaBytes,
      ),
    },
    defaultEngine: values.engine ?? 'embedded',
    embeddedArgs: embeddedFlagNames.flatMap((name) => {
      const value = Reflect.get(values, `embedded-${name}`) as string | undefined;
      return value === undefined ? [] : [`--${name}`, value];
    }),
  };
}

function parseTurn(value: string | undefined): EncryptionWish['turn'] {
  if (value === undefined || value === 'on' || value === 'off') return value ?? null;
  throw new Error('--encryption must be on or off.');
}

const absolute = (path: string | undefined): string | null =>
  path === undefined || path === '' ? null : resolve(path);

/** In bytes; null is no limit. */
function parseGigabytes(flag: string, value: string | undefined, byDefault: number | null): number | null {
  if (value === undefined) return byDefault;
  const bytes = /^\d+(\.\d+)?$/.test(value) ? Math.round(Number(value) * 1e9) : Number.NaN;
  if (!Number.isSafeInteger(bytes)) throw new Error(`--${flag} must be a number of gigabytes, 0 for no limit.`);
  return bytes === 0 ? null : bytes;
}

/** In ms; 0 is never. A timer takes no more than 24 days. */
function parseSyncSeconds(value = '60'): number {
  if (/^\d{1,6}$/.test(value)) return Number(value) * 1000;
  throw new Error('--state-sync-seconds must be a whole number of seconds below a million, 0 for never.');
}

/** `120` or `120/min`; 0 is no limit. */
function parseRate(value: string | undefined): number | null {
  if (value === undefined) return null;
  const perMinute = /^(\d{1,6})(?:\/min)?$/.exec(value)?.[1];
  if (perMinute === undefined)
    throw new Error('--rate-limit must be a whole number of changes a minute, 0 for no limit.');
  return Number(perMinute);
}
