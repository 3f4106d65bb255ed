import { statfs } from 'node:fs/promises';

/** `f_type` of statfs(2) on Linux, from the kernel's `include/uapi/linux/magic.h` and the file systems' own sources. */
const namesByMagic: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x01021997, '9P'],
  [0x65735546, 'FUSE'],
  [0x00c36400, 'Ceph'],
  [0x5346414f, 'AFS'],
  [0x6b414653, 'AFS'],
  [0x73757245, 'Coda'],
  [0x0bd00bd0, 'Lustre'],
  [0x47504653, 'GPFS'],
  [0x01161970, 'GFS2'],
  [0x7461636f, 'OCFS2'],
  [0x786f4256, 'VirtualBox shared folder'],
]);

/**
 * The kind of network file system, or file system of a program, that holds a directory. Known on Linux only; null for a local file
 * system and on other systems.
 */
export async function networkFileSystem(directory: string): Promise<string | null> {
  if (process.platform !== 'linux') return null;
  try {
    return kindOfFileSystem((await statfs(directory)).type);
  } catch {
    // The first use of the directory reports its fault better than this check could.
    return null;
  }
}

/** @param magic as statfs gives it, which may be signed. */
export const kindOfFileSystem = (magic: number): string | null => namesByMagic.get(magic >>> 0) ?? null;

/** The consequence for the storage directory, in plain words. */
export const networkWarning = (kind: string): string =>
  `it is on a network file system (${kind}). Use it from one machine at a time: locking relies on clocks that agree within 45 s, and a write is only as durable as that file system's fsync`;
