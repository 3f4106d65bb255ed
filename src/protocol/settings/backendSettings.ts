import { logFormats, logLevels } from '../log.ts';
import { continueFromChoices, isolations } from './sessionChoices.ts';

interface Common {
  /** On the backend's command line, behind `--`. */
  readonly flag: string;
  /** What the value is, as an error says it: "must be …". */
  readonly means: string;
  /** Default of `cwm serve` where it is another one. */
  readonly serveDefault?: number;
  /** The setting of VS Code that has it. */
  readonly setting?: `cwm.${string}`;
}

/** Never below 0. `default: null` leaves it to the part of the backend that uses it. */
interface NumberSetting extends Common {
  readonly kind: 'number';
  readonly isWhole: boolean;
  readonly maximum: number;
  readonly default: number | null;
  /** May stand behind the number. */
  readonly suffix?: string;
}

interface ChoiceSetting extends Common {
  readonly kind: 'choice';
  readonly values: readonly string[];
  readonly default: string | null;
}

/** `path`: a relative one starts from the folder in which the command runs. */
interface TextSetting extends Common {
  readonly kind: 'text' | 'path';
  readonly default: string | null;
  /** Default: any that is not blank. */
  readonly form?: RegExp;
}

export type BackendSetting = NumberSetting | ChoiceSetting | TextSetting;

const tera = 1_000_000;

/**
 * All settings of a backend at its start. Its arguments, the options of `cwm serve`, the defaults, and the settings of VS Code come
 * from this table; `embeddedFlags` has what it passes on to the embedded engine. A test holds package.json against it.
 */
export const backendSettings = {
  idleMinutes: {
    flag: 'idle-minutes',
    kind: 'number',
    isWhole: false,
    maximum: 35_000,
    default: 5,
    serveDefault: 0,
    means: 'a number of minutes, 0 for never',
  },
  engine: { flag: 'engine', kind: 'text', default: null, means: 'a URL, "embedded" or "embedded:FILE"' },
  logLevel: {
    flag: 'log-level',
    kind: 'choice',
    values: logLevels,
    default: 'info',
    means: `one of ${logLevels.join(', ')}`,
    setting: 'cwm.logLevel',
  },
  logFormat: {
    flag: 'log-format',
    kind: 'choice',
    values: logFormats,
    default: 'json',
    means: `one of ${logFormats.join(', ')}`,
  },
  rateLimit: {
    flag: 'rate-limit',
    kind: 'number',
    isWhole: true,
    maximum: 999_999,
    suffix: '/min',
    default: 60,
    means: 'a whole number of changes a minute, 0 for no limit',
    setting: 'cwm.limits.changesPerMinute',
  },
  gatewayRateLimit: {
    flag: 'gateway-rate-limit',
    kind: 'number',
    isWhole: true,
    maximum: 999_999,
    suffix: '/min',
    // No agent that waits for its answers comes near, not with ten helpers at once.
    default: 600,
    means: 'a whole number of requests a minute, 0 for no limit',
    setting: 'cwm.limits.gatewayRequestsPerMinute',
  },
  maxOperations: {
    flag: 'max-operations',
    kind: 'number',
    isWhole: true,
    maximum: 999_999,
    default: 10,
    means: 'a whole number of operations, 0 for no limit',
    setting: 'cwm.limits.operations',
  },
  continueFrom: {
    flag: 'continue-from',
    kind: 'choice',
    values: continueFromChoices,
    default: 'ids',
    means: continueFromChoices.join(' or '),
    setting: 'cwm.continueFrom',
  },
  isolation: {
    flag: 'isolation',
    kind: 'choice',
    values: isolations,
    default: 'project',
    means: isolations.join(', '),
    setting: 'cwm.isolation',
  },
  healPrefix: {
    flag: 'heal-prefix',
    kind: 'choice',
    values: ['on', 'off'],
    default: 'on',
    means: 'on or off',
    setting: 'cwm.gateway.healPrefix',
  },
  pinSystemPrompt: {
    flag: 'pin-system-prompt',
    kind: 'choice',
    values: ['on', 'off'],
    default: 'off',
    means: 'on or off',
    setting: 'cwm.gateway.pinSystemPrompt',
  },
  memoryPolicyFile: {
    flag: 'memory-policy-file',
    kind: 'path',
    default: null,
    means: 'a file',
    setting: 'cwm.memoryPolicyFile',
  },
  embeddingsServer: {
    flag: 'embeddings-server',
    kind: 'text',
    default: null,
    means: 'a URL, or "off"',
  },
  kvBudgetGb: {
    flag: 'kv-budget-gb',
    kind: 'number',
    isWhole: false,
    maximum: tera,
    default: 50,
    means: 'a number of gigabytes, 0 for no limit',
    setting: 'cwm.kvBudgetGb',
  },
  storageQuotaGb: {
    flag: 'storage-quota-gb',
    kind: 'number',
    isWhole: false,
    maximum: tera,
    default: 100,
    means: 'a number of gigabytes, 0 for no limit',
    setting: 'cwm.storageQuotaGb',
  },
  retentionDays: {
    flag: 'retention-days',
    kind: 'number',
    isWhole: true,
    maximum: 36_500,
    default: 0,
    means: 'a whole number of days, 0 for ever',
    setting: 'cwm.retentionDays',
  },
  checkpoints: {
    flag: 'checkpoints',
    kind: 'choice',
    values: ['on', 'off'],
    default: 'on',
    means: 'on or off',
    setting: 'cwm.checkpoints',
  },
  checkpointAt: {
    flag: 'checkpoint-at',
    kind: 'number',
    isWhole: false,
    maximum: 100,
    suffix: '%',
    default: 75,
    means: "a share of the model's context, in percent",
  },
  checkpointTokens: {
    flag: 'checkpoint-tokens',
    kind: 'number',
    isWhole: true,
    maximum: 100_000_000,
    default: 0,
    means: 'a whole number of tokens, 0 for none',
  },
  checkpointCooldownSeconds: {
    flag: 'checkpoint-cooldown-seconds',
    kind: 'number',
    isWhole: false,
    maximum: 999_999,
    default: 60,
    means: 'a number of seconds below a million',
  },
  checkpointIdleMinutes: {
    flag: 'checkpoint-idle-minutes',
    kind: 'number',
    isWhole: false,
    maximum: 35_000,
    default: 10,
    means: 'a number of minutes, 0 for never',
  },
  checkpointName: {
    flag: 'checkpoint-name',
    kind: 'text',
    form: /^(?=.{1,128}$)[\w-]*(\{(session_id|timestamp|count)\}[\w-]*)+$/,
    default: 'auto-{session_id}-{timestamp}',
    means: 'letters, digits, "_" and "-" around {session_id}, {timestamp} or {count}',
  },
  checkpointTags: {
    flag: 'checkpoint-tags',
    kind: 'text',
    form: /^[\w-]{1,32}(,[\w-]{1,32}){0,9}$/,
    default: 'auto-freeze',
    means: 'at most 10 tags with commas between them',
  },
  requireTls: {
    flag: 'require-tls',
    kind: 'choice',
    values: ['on', 'off'],
    default: 'on',
    means: 'on or off',
    setting: 'cwm.requireTls',
  },
  http: {
    flag: 'http',
    kind: 'text',
    default: null,
    means: '[HOST:]PORT',
  },
  httpRemote: {
    flag: 'http-remote',
    kind: 'choice',
    values: ['on', 'off'],
    default: 'off',
    means: 'on or off',
  },
  httpTokenFile: {
    flag: 'http-token-file',
    kind: 'path',
    default: null,
    means: 'a file',
  },
  gatewayPort: {
    flag: 'gateway-port',
    kind: 'number',
    isWhole: true,
    maximum: 65_535,
    default: 8765,
    means: 'a port, 0 for one that the system chooses',
    setting: 'cwm.gateway.port',
  },
  encryption: { flag: 'encryption', kind: 'choice', values: ['on', 'off'], default: null, means: 'on or off' },
  encryptionKeyFile: { flag: 'encryption-key-file', kind: 'path', default: null, means: 'a file' },
  stateFolder: {
    flag: 'state-folder',
    kind: 'path',
    default: null,
    means: 'a folder',
  },
  stateSyncSeconds: {
    flag: 'state-sync-seconds',
    kind: 'number',
    isWhole: true,
    // A timer takes no more than 24 days.
    maximum: 999_999,
    default: 60,
    means: 'a whole number of seconds below a million, 0 for never',
  },
  stateAutoCreate: {
    flag: 'state-auto-create',
    kind: 'choice',
    values: ['on', 'off'],
    default: 'off',
    means: 'on or off',
  },
  stateDefaultSession: {
    flag: 'state-default-session',
    kind: 'text',
    default: null,
    means: 'the id of a session',
  },
} as const satisfies Readonly<Record<string, BackendSetting>>;

export type BackendSettingName = keyof typeof backendSettings;

type ValueOf<Row extends BackendSetting> =
  | (Row extends NumberSetting ? number : Row extends ChoiceSetting ? Row['values'][number] : string)
  | (null extends Row['default'] ? null : never);

export type BackendSettingValues = {
  readonly [Name in BackendSettingName]: ValueOf<(typeof backendSettings)[Name]>;
};

/** The environment variable that has the setting where the command line has none. */
export const variableOf = ({ flag }: Pick<BackendSetting, 'flag'>): string =>
  `CWM_${flag.toUpperCase().replaceAll('-', '_')}`;

/**
 * A value as it stands on a command line, else in the environment; the default where it is in neither. An empty variable is none.
 *
 * @returns null for the default of a row that has none.
 * @throws Error that names the flag or the variable and says what the value must be.
 */
export function readBackendSetting(
  row: BackendSetting,
  written: string | undefined,
  env: Readonly<Record<string, string | undefined>> = {},
): string | number | null {
  const [name, given] =
    written === undefined ? [variableOf(row), env[variableOf(row)] || undefined] : [`--${row.flag}`, written];
  if (given === undefined) return row.default;
  const value = meaning(row, given);
  if (value === null) throw new Error(`${name} must be ${row.means}.`);
  return value;
}

function meaning(row: BackendSetting, written: string): string | number | null {
  switch (row.kind) {
    case 'choice':
      return row.values.includes(written) ? written : null;
    case 'text':
    case 'path':
      return written.trim() === '' || row.form?.test(written) === false ? null : written;
    case 'number': {
      const digits =
        row.suffix !== undefined && written.endsWith(row.suffix) ? written.slice(0, -row.suffix.length) : written;
      if (!(row.isWhole ? /^\d+$/ : /^\d+(\.\d+)?$/).test(digits)) return null;
      return Number(digits) <= row.maximum ? Number(digits) : null;
    }
  }
}

/** The command line that tells a backend these values, in the table's order. Values that are undefined are left out. */
export function backendFlags(
  values: Readonly<Partial<Record<BackendSettingName, string | number | undefined>>>,
): string[] {
  const names = Object.keys(backendSettings) as BackendSettingName[];
  return names.flatMap((name) => {
    const value = values[name];
    return value === undefined ? [] : [`--${backendSettings[name].flag}`, String(value)];
  });
}
