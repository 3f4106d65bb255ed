import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';

/** The git settings that are read: where the user's own ignore list is. */
export interface GitConfig {
  /** The setting as written; null when it is not set. */
  readonly excludesFile: string | null;
  /** Other files that the settings include, as written. */
  readonly includes: readonly string[];
}

/** Reads git's configuration format as far as `core.excludesFile` needs it, and skips the rest. */
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
    // `includeIf` counts without its condition: leaving out one file too many is better than giving one away.
    if ((section === 'include' || section === 'includeif') && key.toLowerCase() === 'path')
      includes.push(plainValue(value));
  }
  return { excludesFile, includes };
}

/** The value without quotes, escapes and a trailing comment. */
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

/** Null for a user without a home folder, as in some containers. */
function home(): string | null {
  try {
    return homedir() || null;
  } catch {
    return null;
  }
}

/** The files of git's settings, except those of a repository; the weakest first. */
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

/** Where git looks for the user's ignore list when no setting names one. */
export function defaultExcludesFile(env: NodeJS.ProcessEnv): string | null {
  const folder = configFolder(env);
  return folder === null ? null : join(folder, 'git', 'ignore');
}

function configFolder(env: NodeJS.ProcessEnv): string | null {
  const own = home();
  return env['XDG_CONFIG_HOME'] || (own === null ? null : join(own, '.config'));
}
