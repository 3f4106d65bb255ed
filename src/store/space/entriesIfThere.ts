import { hasCode, type DirectoryEntry, type Files } from '../disk/files.ts';

/** Nothing when the directory is not there: it may go while others are looked through. */
export async function entriesIfThere(files: Files, directory: string): Promise<DirectoryEntry[]> {
  try {
    return await files.entries(directory);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}
