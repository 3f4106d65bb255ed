import { fileURLToPath } from 'node:url';
import { readableLine } from '../base/readableText.ts';
import { formatBytes, formatCount } from '../base/format.ts';

/** `1 file`, `1,200 files` */
export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${formatCount(count)} ${count === 1 ? one : many}`;

export const percent = (part: number, whole: number): string => `${Math.round((part / whole) * 100)} %`;

/** `12.6 MB of at most 50 GB`; a limit of null is no limit. */
export const bytesOfLimit = (bytes: number, limitBytes: number | null): string =>
  limitBytes === null ? formatBytes(bytes) : `${formatBytes(bytes)} of at most ${formatBytes(limitBytes)}`;

export const bytesOrNull = (bytes: number | null): string | null => (bytes === null ? null : formatBytes(bytes));

/** An ISO stamp as people write it: `2026-11-20 10:00:00 UTC`. Any other text stays as it is. */
export const formatStamp = (stamp: string): string =>
  stamp.replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?Z$/, '$1 $2 UTC');

/** A project as people name it: the path of a folder on this machine, and the URI of any other. */
export function folderWords(project: string): string {
  try {
    return readableLine(fileURLToPath(project));
  } catch {
    return project;
  }
}

/** Last part of a folder's URI, readable. */
export function folderName(uri: string): string {
  const last = uri.split('/').findLast((part) => part !== '') ?? uri;
  try {
    return readableLine(decodeURIComponent(last));
  } catch {
    return readableLine(last);
  }
}

export const capitalised = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);
