import { hasCode, type DirectoryEntry, type Files } from '../disk/files.ts';

/** Empty when the directory does not exist: it may be removed while others are listed. */
export async function entriesIfThere(files: Files, directory: string): Promise<DirectoryEntry[]> {
  try {
    return await files.entries(directory);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}
