import type { ProjectUri } from '../../protocol/ids.ts';
import { parseProjectUri } from '../../protocol/ids.ts';
import type { Asked } from '../formats/item.ts';
import { objectOf, parsed } from '../formats/json.ts';
import type { HeaderOf } from './clientIds.ts';

/** How clients write their working directory into a prompt. */
const sentences: readonly RegExp[] = [
  // Claude Code
  /Primary working directory: (.+)/,
  // Pi
  /Current working directory: (.+)/,
  // OpenCode, Continue, Cline
  /Working [Dd]irectory: (.+)/,
  // Codex
  /<cwd>([^<]+)<\/cwd>/,
  // Qwen Code
  /working in the directory: (.+)/,
  // gptme, in either of its forms
  /<working-directory>([^<]+)<\/working-directory>/,
  /\*\*Working Directory:\*\* (.+)/,
  // VS Code
  /following folders:\s*\n- (.+)/,
];

/** What a client says to the model for itself, or its user says: a result of a tool may name any folder. */
const speaksForItself = new Set(['system', 'user']);

/** A prompt names its folder near its beginning or its end; a folder in the middle of a conversation is talk. */
const mostItems = 3;

/** What a request says of its project. */
export interface NamedProject {
  readonly project: ProjectUri;
  /** It names the project itself, and not the folder that the client works in. */
  readonly isExplicit: boolean;
}

/**
 * What the path or `x-cwm-project` says, else `x-cwm-folder`, else the working directory that the client's prompt names.
 *
 * @param named of the path; null where it has none.
 * @returns null for a request of no project.
 */
export function projectOf(named: string | null, header: HeaderOf, asked: Asked | null): NamedProject | null {
  const said = named ?? header('x-cwm-project');
  const isExplicit = said !== null && said !== '';
  const text = isExplicit
    ? said
    : (header('x-cwm-folder') ?? folderOfCodex(header) ?? (asked && folderInPrompt(asked)));
  const project = text === null ? null : asProject(text);
  return project && { project, isExplicit };
}

/** A folder's path or URI, or a name that stands for itself. @returns null for what is neither. */
export function asProject(said: string): ProjectUri | null {
  const text = said.trim().replace(/[/\\]+$/, '');
  try {
    if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return parseProjectUri(text);
    if (text.startsWith('/')) return parseProjectUri(`file://${encodePath(text)}`);
    if (/^[A-Za-z]:[/\\]/.test(text)) return parseProjectUri(`file:///${encodePath(text.replaceAll('\\', '/'))}`);
    return text === '' ? null : parseProjectUri(`project://${encodeURIComponent(text)}`);
  } catch {
    return null;
  }
}

const encodePath = (path: string): string =>
  path
    .split('/')
    .map((part) =>
      encodeURIComponent(part)
        .replaceAll('%40', '@')
        .replaceAll('%2B', '+')
        .replace(/^([A-Za-z])%3A$/, '$1:'),
    )
    .join('/');

function folderInPrompt({ system, items }: Asked): string | null {
  const own = items.slice(0, mostItems).filter(({ role }) => speaksForItself.has(role));
  for (const text of [system, ...own.map((item) => item.text)]) {
    for (const sentence of sentences) {
      const folder = sentence.exec(text)?.[1]?.trim();
      if (folder && /^(\/|[A-Za-z]:[/\\])/.test(folder)) return folder;
    }
  }
  return null;
}

function folderOfCodex(header: HeaderOf): string | null {
  const metadata = objectOf(parsed(header('x-codex-turn-metadata') ?? ''));
  return Object.keys(objectOf(metadata?.['workspaces']) ?? {})[0] ?? null;
}
