import { homedir, totalmem } from 'node:os';
import { homeOrNull } from '../../base/homeDirectory.ts';
import type { Machine } from './discover.ts';

/** This machine, as the user of this process sees it. */
export const userMachine = (): Machine => ({
  platform: process.platform,
  env: process.env,
  home: homeOrNull(homedir),
  memoryBytes: totalmem(),
});
