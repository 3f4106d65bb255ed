/** What `stat` says about who may change a file. On Windows `uid` is 0 for everything, and modes mean nothing. */
export interface OwnedFile {
  readonly uid: number;
  readonly mode: number;
}

/** `foreign`: another user owns it. `open`: other users may write to it. */
export type OwnerProblem = 'foreign' | 'open';

const root = 0;
const writableByOthers = 0o022;

/**
 * Why a user cannot trust a file, a directory or a socket; null when only that user and the administrator can have written it.
 *
 * @param uid the user who asks (`process.getuid`); undefined where the system has no such numbers: access lists protect the user's
 *   own directories there.
 */
export function ownerProblem(file: OwnedFile, uid: number | undefined): OwnerProblem | null {
  if (uid === undefined) return null;
  if (file.uid !== uid && file.uid !== root) return 'foreign';
  return (file.mode & writableByOthers) === 0 ? null : 'open';
}

/** The same in words, behind the name of the file. */
export const ownerProblemInWords = (problem: OwnerProblem, { uid, mode }: OwnedFile): string =>
  problem === 'foreign'
    ? `belongs to another user (number ${uid})`
    : `can be changed by other users (mode ${(mode & 0o7777).toString(8).padStart(4, '0')})`;
