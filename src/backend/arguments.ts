import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { SpaceLimits } from '../core/space/limits.ts';
import type { Healing } from '../gateway/passing/heal.ts';
import type { ContinueFrom, Isolation } from '../protocol/settings/sessionChoices.ts';
import type { AutoSyncConfig } from '../core/tracker/autoSync.ts';
import { httpTokenFile } from '../protocol/backendRecord.ts';
import { embeddedFlagNames } from '../protocol/settings/embeddedFlags.ts';
import type { CheckpointPolicy } from '../core/windows/checkpoints/checkpointPolicy.ts';
import type { TrackerConfig } from '../core/tracker/trackerConfig.ts';
import type { EncryptionWish } from '../store/encryption/openEncryption.ts';
import {
  backendSettings,
  readBackendSetting,
  type BackendSetting,
  type BackendSettingValues,
} from '../protocol/settings/backendSettings.ts';
import type { LogFormat, LogLevel } from '../protocol/log.ts';

export interface BackendArguments {
  readonly storage: string;
  /** A store to take over into `storage`; the process does nothing else. */
  readonly takeOver?: string;
  /** A backup that takes the place of the records before the store is opened. */
  readonly restoreBackup?: string;
  readonly idleMs: number;
  /** Null: none was named. */
  readonly defaultEngine: string | null;
  readonly embeddedArgs: readonly string[];
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  readonly ratePerMinute: number;
  readonly gatewayRatePerMinute: number;
  readonly maxOperations: number;
  /** Whether plain http to another machine is refused. */
  readonly requiresTls: boolean;
  /** Undefined: states are synchronised only when somebody asks for it. */
  readonly stateSync?: AutoSyncConfig;
  readonly continueFrom: ContinueFrom;
  readonly isolation: Isolation;
  readonly healing: Healing;
  /** Absolute path of a module with policies of eviction; null: only those that are built in. */
  readonly memoryPolicyFile: string | null;
  /** Spec of the server that embeds texts, or `off`; null: each session's own, where it serves them. */
  readonly embeddingsServer: string | null;
  readonly tracker: Pick<TrackerConfig, 'autoCreate' | 'defaultSession'>;
  readonly checkpoints: Omit<CheckpointPolicy, 'shutdownMs' | 'leaveMs' | 'volatileRestMs'>;
  readonly encryption: EncryptionWish;
  /** Null: the API answers on its socket only. */
  readonly http: { readonly address: string; readonly remote: boolean; readonly tokenFile: string } | null;
  /** On loopback, where the gateway listens once it is opened. Null: at the default, which is no wish. */
  readonly gatewayPort: number | null;
  readonly limits: Pick<SpaceLimits, 'kvBudgetBytes' | 'isBudgetOfAllEngines' | 'storageQuotaBytes' | 'retentionDays'>;
}

const embeddedOptions = Object.fromEntries(
  embeddedFlagNames.map((name) => [`embedded-${name}`, { type: 'string' } as const]),
);

/** @throws Error with a message for people when the arguments are not understood. */
export function parseBackendArguments(args: readonly string[], env: NodeJS.ProcessEnv = process.env): BackendArguments {
  const rows = Object.values<BackendSetting>(backendSettings);
  const { values } = parseArgs({
    args: [...args],
    options: {
      storage: { type: 'string' },
      'take-over': { type: 'string' },
      'restore-backup': { type: 'string' },
      ...embeddedOptions,
      ...Object.fromEntries(rows.map(({ flag }) => [flag, { type: 'string' } as const])),
    },
  });
  const written = values as Readonly<Record<string, string | undefined>>;
  const { storage, 'take-over': takeOver, 'restore-backup': restoreBackup } = written;
  if (storage === undefined) throw new Error('--storage DIR is missing.');
  const settings = Object.fromEntries(
    Object.entries<BackendSetting>(backendSettings).map(([name, row]) => [
      name,
      readBackendSetting(row, written[row.flag], env),
    ]),
  ) as unknown as BackendSettingValues;
  const { stateFolder } = settings;
  return {
    ...(stateFolder !== null && {
      stateSync: { folder: resolve(stateFolder), intervalMs: settings.stateSyncSeconds * 1000 },
    }),
    storage: resolve(storage),
    ...(restoreBackup !== undefined && { restoreBackup }),
    ...(takeOver !== undefined && { takeOver: resolve(takeOver) }),
    idleMs: settings.idleMinutes * 60_000,
    logLevel: settings.logLevel,
    logFormat: settings.logFormat,
    ratePerMinute: settings.rateLimit,
    gatewayRatePerMinute: settings.gatewayRateLimit,
    maxOperations: settings.maxOperations,
    requiresTls: settings.requireTls === 'on',
    continueFrom: settings.continueFrom,
    isolation: settings.isolation,
    memoryPolicyFile: absolute(settings.memoryPolicyFile ?? undefined),
    embeddingsServer: settings.embeddingsServer,
    healing: { heals: settings.healPrefix === 'on', pins: settings.pinSystemPrompt === 'on' },
    tracker: { autoCreate: settings.stateAutoCreate === 'on', defaultSession: settings.stateDefaultSession },
    checkpoints: {
      enabled: settings.checkpoints === 'on',
      tokenThreshold: settings.checkpointAt / 100,
      tokenCountThreshold: settings.checkpointTokens,
      cooldownMs: settings.checkpointCooldownSeconds * 1000,
      idleMs: settings.checkpointIdleMinutes * 60_000,
      namePattern: settings.checkpointName,
      tags: settings.checkpointTags.split(','),
    },
    encryption: {
      turn: settings.encryption,
      keyFile: absolute(settings.encryptionKeyFile ?? undefined),
    },
    http:
      settings.http === null
        ? null
        : {
            address: settings.http,
            remote: settings.httpRemote === 'on',
            tokenFile: absolute(settings.httpTokenFile ?? undefined) ?? join(resolve(storage), httpTokenFile),
          },
    // VS Code gives its default, too.
    gatewayPort: settings.gatewayPort === backendSettings.gatewayPort.default ? null : settings.gatewayPort,
    limits: {
      kvBudgetBytes: gigabytes(settings.kvBudgetGb),
      // VS Code gives the default, too, and nobody chose that one.
      isBudgetOfAllEngines: settings.kvBudgetGb !== backendSettings.kvBudgetGb.default,
      retentionDays: settings.retentionDays,
      storageQuotaBytes: gigabytes(settings.storageQuotaGb),
    },
    defaultEngine: settings.engine,
    embeddedArgs: embeddedFlagNames.flatMap((name) => {
      const value = written[`embedded-${name}`];
      return value === undefined ? [] : [`--${name}`, value];
    }),
  };
}

const absolute = (path: string | undefined): string | null =>
  path === undefined || path === '' ? null : resolve(path);

/** In bytes; null is no limit. */
const gigabytes = (count: number): number | null => (count === 0 ? null : Math.round(count * 1e9));
