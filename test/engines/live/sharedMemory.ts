import { readdirSync, readFileSync } from 'node:fs';

/** The files under /dev/shm that the processes of a group have mapped. */
export function sharedMemoryOf(groupId: number): string[] {
  const found = new Set<string>();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      if (Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]) !== groupId) continue;
      for (const [file] of readFileSync(`/proc/${pid}/maps`, 'utf8').matchAll(/\/dev\/shm\/\S+$/gm)) found.add(file);
    } catch {
      // It ended while it was looked at.
    }
  }
  return [...found];
}
