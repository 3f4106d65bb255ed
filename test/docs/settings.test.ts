import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { firstKeys, settingsFile, settingsPage } from '../../scripts/settingsPage.ts';
import { parseBackendArguments } from '../../src/backend/arguments.ts';
import { backendSettings, variableOf, type BackendSetting } from '../../src/protocol/settings/backendSettings.ts';

const root = path.join(import.meta.dirname, '../..');
const rows = Object.entries<BackendSetting>(backendSettings);

test('docs/settings.md is the table of settings (node scripts/settingsPage.ts makes it)', async () => {
  expect(readFileSync(settingsFile, 'utf8')).toBe(await settingsPage());
});

test('S0-83 every key of the first design is a setting, or says why it is none', () => {
  const line = readFileSync(path.join(root, 'docs/settings.md'), 'utf8');
  expect(Object.keys(firstKeys)).toHaveLength(27);
  for (const [key, today] of Object.entries(firstKeys)) {
    expect(line).toContain(`\`${key}\``);
    if (typeof today !== 'string') expect(today.why.length, key).toBeGreaterThan(8);
  }
});

test('S0-83 every setting is read: the start of the backend makes something of it', () => {
  const source = readFileSync(path.join(root, 'src/backend/arguments.ts'), 'utf8');
  const unread = rows.filter(([name]) => !new RegExp(`settings\\.${name}\\b|\\{ ${name} \\} = settings`).test(source));
  expect(unread.map(([name]) => name)).toEqual([]);
  const all = readdirSync(path.join(root, 'src/backend'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && file !== 'arguments.ts')
    .map((file) => readFileSync(path.join(root, 'src/backend', file), 'utf8'))
    .join('\n');
  const parsed = Object.keys(parseBackendArguments(['--storage', '/s'], {}));
  expect(parsed.filter((name) => !new RegExp(`\\b${name}\\b`).test(all))).toEqual([]);
});

test('S0-83 a value that is out of range is refused, with the name of the flag or of the variable', () => {
  for (const [, row] of rows.filter(([, { kind }]) => kind === 'number' || kind === 'choice')) {
    const parse = (args: string[], env: Record<string, string>) => () =>
      parseBackendArguments(['--storage', '/s', ...args], env);
    expect(parse([`--${row.flag}=-1`], {}), row.flag).toThrow(`--${row.flag} must be ${row.means}.`);
    expect(parse([], { [variableOf(row)]: '-1' }), row.flag).toThrow(`${variableOf(row)} must be ${row.means}.`);
    if (row.kind === 'number')
      expect(parse([], { [variableOf(row)]: String(row.maximum * 10) }), row.flag).toThrow(variableOf(row));
  }
});

test('S0-16 how checkpoints are called and tagged is read from both, and what cannot be a name or a tag is refused', () => {
  const read = (args: string[], env: Record<string, string> = {}) =>
    parseBackendArguments(['--storage', '/s', ...args], env).checkpoints;
  expect(read([])).toMatchObject({ namePattern: 'auto-{session_id}-{timestamp}', tags: ['auto-freeze'] });
  const env = { CWM_CHECKPOINT_NAME: 'mine-{count}', CWM_CHECKPOINT_TAGS: 'a,b' };
  expect(read([], env)).toMatchObject({ namePattern: 'mine-{count}', tags: ['a', 'b'] });
  for (const pattern of ['fixed', '{session}', '../{count}', 'a b{count}', `${'x'.repeat(122)}{count}`])
    expect(() => read(['--checkpoint-name', pattern]), pattern).toThrow('--checkpoint-name must be letters');
  for (const tags of ['a,', 'a b', 'x'.repeat(33), Array(11).fill('t').join(',')])
    expect(() => read(['--checkpoint-tags', tags]), tags).toThrow('--checkpoint-tags must be at most 10 tags');
});

test('the command line wins over the environment, and an empty variable is none', () => {
  const levelOf = (args: string[], level: string) =>
    parseBackendArguments(['--storage', '/s', ...args], { CWM_LOG_LEVEL: level }).logLevel;
  expect([levelOf([], 'debug'), levelOf(['--log-level', 'error'], 'debug'), levelOf([], '')]).toEqual([
    'debug',
    'error',
    'info',
  ]);
});
