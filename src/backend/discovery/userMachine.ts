import { homedir, totalmem } from 'node:os';
import type { Machine } from './discover.ts';

/** This machine, as the user of this process sees it. */
export const userMachine = (): Machine => ({
  platform: process.platform,
  env: process.env,
  home: homeOrNull(),
  memoryBytes: totalmem(),
});

/** Null for a user id without an entry in /etc/passwd and without `HOME`. */
function homeOrNull(): string | null {
  try {
    return homedir();
  } catch {
    return null;
  }
}
