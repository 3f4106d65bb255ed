import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';

/** What of git's settings is read: where a user keeps the list of what to ignore everywhere. */
export interface GitConfig {
  /** As it is written; null where it is not set. */
  readonly excludesFile: string | null;
  /** Other files that it includes, as they are written. */
  readonly includes: readonly string[];
}

/** Reads git's configuration format as far as it can hold `core.excludesFile`. What it does not understand it leaves out. */
export function parseGitConfig(text: string): GitConfig {
  let section = '';
  let excludesFile: string | null = null;
  const includes: string[] = [];
  for (const line of text
    .replace(/^\uFEFF/, '')
    .replaceAll(/\\\r?\n/g, '')
    .split(/\r?\n/)) {
    const header = /^\s*\[\s*([\w.-]+)(?:\s+"[^"]*")?\s*\]\s*(.*)$/.exec(line);
    if (header) section = (header[1] ?? '').toLowerCase();
    const [, key = '', value = ''] = /^\s*([A-Za-z][\w-]*)\s*=\s*(.*)$/.exec(header ? (header[2] ?? '') : line) ?? [];
    if (section === 'core' && key.toLowerCase() === 'excludesfile') excludesFile = plainValue(value);
    // Conditions of `includeIf` are not weighed: to leave out one file too many is better than to give one away.
    if ((section === 'include' || section === 'includeif') && key.toLowerCase() === 'path')
      includes.push(plainValue(value));
  }
  return { excludesFile, includes };
}

/** Without quotes, escapes and a comment behind it. */
function plainValue(value: string): string {
  let plain = '';
  let isQuoted = false;
  for (let at = 0; at < value.length; at++) {
    const character = value[at] ?? '';
    if (character === '"') isQuoted = !isQuoted;
    else if (character === '\\') plain += escapes[value[++at] ?? ''] ?? value[at] ?? '';
    else if (!isQuoted && /[#;]/.test(character)) break;
    else plain += character;
  }
  return plain.trim();
}

const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', b: '\b' };

/** A path of a setting: from the home folder with `~/`, else from `folder`. */
export function configPath(path: string, folder: string): string {
  if (path === '~' || path.startsWith('~/')) return join(home() ?? folder, path.slice(1));
  return isAbsolute(path) ? path : resolve(folder, path);
}

/** A user without an entry in the system's list of users may have none. */
export function home(): string | null {
  try {
    return homedir() || null;
  } catch {
    return null;
  }
}

/** The files of git's settings, the weakest first, but for those of one repository. */
export function userConfigFiles(env: NodeJS.ProcessEnv): string[] {
  const own = home();
  const system = env['GIT_CONFIG_NOSYSTEM'] ? [] : [env['GIT_CONFIG_SYSTEM'] ?? '/etc/gitconfig'];
  const global = env['GIT_CONFIG_GLOBAL'];
  if (global !== undefined) return [...system, global];
  const folder = configFolder(env);
  return [
    ...system,
    ...(folder === null ? [] : [join(folder, 'git', 'config')]),
    ...(own === null ? [] : [join(own, '.gitconfig')]),
  ];
}

/** Where git looks for a list that no setting names. */
export function defaultExcludesFile(env: NodeJS.ProcessEnv): string | null {
  const folder = configFolder(env);
  return folder === null ? null : join(folder, 'git', 'ignore');
}

function configFolder(env: NodeJS.ProcessEnv): string | null {
  const own = home();
  return env['XDG_CONFIG_HOME'] || (own === null ? null : join(own, '.config'));
}
