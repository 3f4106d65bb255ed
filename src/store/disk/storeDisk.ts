import type { Clock } from '../../base/clock.ts';
import { CwmError } from '../../protocol/errors.ts';
import { DurableWrites } from './durableWrites.ts';
import type { Files } from './files.ts';
import type { Layout } from './layout.ts';
import { LineFiles } from './lineFiles.ts';
import { Quarantine } from './quarantine.ts';
import { RecordFiles } from './recordFiles.ts';

/** The objects that every part of the store uses. */
export interface StoreDisk {
  readonly files: Files;
  readonly clock: Clock;
  readonly layout: Layout;
  readonly writes: DurableWrites;
  readonly quarantine: Quarantine;
  readonly records: RecordFiles;
  readonly lines: LineFiles;
  /** A later version wrote the store: records that this version understands can be read, and nothing can be changed. */
  readonly isReadOnly: boolean;
}

/** @param formatVersion the store's format, null for one that a later version wrote. */
export function makeStoreDisk(files: Files, clock: Clock, layout: Layout, formatVersion: number | null): StoreDisk {
  const isReadOnly = formatVersion === null;
  const writes = new DurableWrites(files, layout.temporary);
  const quarantine = new Quarantine(writes, layout, clock, isReadOnly);
  const records = new RecordFiles(files, writes, quarantine, formatVersion ?? Number.POSITIVE_INFINITY);
  const lines = new LineFiles(files, writes, quarantine);
  return { files, clock, layout, writes, quarantine, records, lines, isReadOnly };
}

/**
 * Whether this directory of a record is there.
 * @throws CwmError AccessDenied when it is a link or no directory: following it could leave the storage directory.
 */
export async function hasDirectory(files: Files, directory: string): Promise<boolean> {
  const stat = await files.stat(directory);
  if (stat === null) return false;
  if (stat.kind === 'directory') return true;
  throw new CwmError('AccessDenied', `${directory} is ${stat.kind === 'link' ? 'a link' : 'not a directory'}.`, {
    hint: 'The store follows no links, because one could lead out of the storage directory: put the directory itself back.',
  });
}
