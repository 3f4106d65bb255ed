// Makes docs/settings.md from the table of settings: `node scripts/settingsPage.ts` writes it, and a test fails while it is out of date.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { format } from 'oxfmt';
import { serveHelp } from '../src/cli/commands/backend/serveHelp.ts';
import { backendSettings, variableOf, type BackendSetting } from '../src/protocol/settings/backendSettings.ts';
import { embeddedFlags } from '../src/protocol/settings/embeddedFlags.ts';

export const settingsFile = path.join(import.meta.dirname, '../docs/settings.md');

/** The keys of the first design (S0-83): what has each today, or why nothing has it. */
export const firstKeys: Readonly<Record<string, keyof typeof backendSettings | { readonly why: string }>> = {
  'vllm.url': 'engine',
  'vllm.timeout': {
    why: 'A prefill takes as long as it takes. The backend ends a request that stands still, and the user can cancel.',
  },
  'vllm.max_connections': { why: 'Requests to one server are few, and its own queue orders them.' },
  'vllm.verify_ssl': 'requireTls',
  'vllm.api_key': {
    why: 'A secret is no setting: VS Code stores it in its secret storage, the command line reads `CWM_API_KEY`.',
  },
  'storage.enable_cpu': { why: 'The memory of a server belongs to the server, which has its own option.' },
  'storage.cpu_max_gb': { why: 'As above.' },
  'storage.enable_disk': { why: 'Without a disk nothing would be stored. `kv-budget-gb` limits the KV.' },
  'storage.disk_path': {
    why: 'The storage directory, `--storage`, `CWM_STORAGE` or `cwm.storageDirectory`, has everything.',
  },
  'storage.disk_max_gb': 'kvBudgetGb',
  'storage.compression': { why: 'KV of a model hardly becomes smaller, and a thaw would wait for it.' },
  'storage.redis_url': { why: 'There is no Redis. LMCache, behind a server, may use one, with its own options.' },
  'storage.redis_prefix': { why: 'As above.' },
  'security.encryption_at_rest': 'encryption',
  'security.key_file': 'encryptionKeyFile',
  'security.require_tls': 'requireTls',
  'security.enable_cache_salt': {
    why: 'Without a salt, sessions would share KV, and one could measure what another asked. Our own sessions always have one; `isolation` says which conversations of the gateway share it.',
  },
  'security.audit_log_path': { why: 'The audit log is part of the store, so that it is verified and moved with it.' },
  'security.audit_retention': { why: 'Entries are chained; one that is removed would look like a forgery.' },
  'limits.max_context_tokens': {
    why: 'The model has the limit, and says it. `embedded-context` sets that of the embedded one.',
  },
  'limits.max_sessions': { why: 'A note from 100 on, a refusal from 1,000 on. Nobody has had a reason to change it.' },
  'limits.max_windows': { why: 'A note from 1,000 on, a refusal from 10,000 on; as above.' },
  'limits.max_storage_gb': 'storageQuotaGb',
  'limits.rate_limit_per_minute': 'rateLimit',
  db_path: { why: 'There is no database: plain files are the store, and the index is in memory.' },
  log_level: 'logLevel',
  log_format: 'logFormat',
};

const escaped = (text: string): string => text.replaceAll('|', String.raw`\|`);

/** The whole page, formatted. */
export async function settingsPage(): Promise<string> {
  const rows = Object.entries<BackendSetting>(backendSettings);
  const helps: Readonly<Record<string, string>> = serveHelp;
  const range = (row: BackendSetting): string =>
    row.kind === 'number' ? `${row.means}, at most ${row.maximum.toLocaleString('en')}` : row.means;
  const page = [
    '# Settings of the backend',
    '',
    'The backend reads its settings when it starts: from its command line (`cwm serve --FLAG`), else from the environment, else it takes the',
    'default. VS Code gives the backend that it starts the values of its settings. A value that is out of range is refused, with the name of the',
    'flag or the variable. `src/protocol/settings/backendSettings.ts` holds the table, `serveHelp.ts` of the command line says what each sets; `node scripts/settingsPage.ts` makes this page from it.',
    '',
    '| flag | variable | VS Code | default | value | what it sets |',
    '| --- | --- | --- | --- | --- | --- |',
    ...rows.map(
      ([name, row]) =>
        `| \`--${row.flag}\` | \`${variableOf(row)}\` | ${row.setting === undefined ? '' : `\`${row.setting}\``} | ${row.default ?? ''} | ${escaped(range(row))} | ${escaped(helps[name] ?? '')} |`,
    ),
    '',
    '## The embedded model server',
    '',
    '| flag | what it sets |',
    '| --- | --- |',
    ...Object.entries(embeddedFlags).map(([name, help]) => `| \`--embedded-${name}\` | ${escaped(help)} |`),
    '',
    '## Keys of the first design',
    '',
    'The first design (S0-83) had these keys. Each is a setting under its name of today, or is none, for a reason.',
    '',
    '| key | today |',
    '| --- | --- |',
    ...Object.entries(firstKeys).map(([key, today]) =>
      typeof today === 'string'
        ? `| \`${key}\` | \`--${backendSettings[today].flag}\` |`
        : `| \`${key}\` | none. ${today.why} |`,
    ),
    '',
  ].join('\n');
  const { code } = await format('settings.md', page, { printWidth: 120, singleQuote: true });
  return code;
}

if (import.meta.main) writeFileSync(settingsFile, await settingsPage());
