import { optionIn } from '../../commandLine.ts';
import { parseJson } from '../../http/parseJson.ts';

/**
 * The `root_dir` of the one file tier that a vLLM's `--kv-transfer-config` names, at whatever depth: connectors can hold connectors. Null
 * where it names none, or several different ones.
 */
export function fileTierIn(args: readonly string[]): string | null {
  const config = optionIn(args, '--kv-transfer-config');
  if (config === null) return null;
  try {
    const folders = new Set(tierFolders(parseJson(config)));
    const [folder = null] = folders;
    return folders.size === 1 ? folder : null;
  } catch {
    return null;
  }
}

function tierFolders(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  const { type, root_dir: folder } = value as { readonly type?: unknown; readonly root_dir?: unknown };
  const own = type === 'fs' && typeof folder === 'string' && folder !== '' ? [folder] : [];
  return [...own, ...Object.values(value).flatMap(tierFolders)];
}
