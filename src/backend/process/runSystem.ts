import fs from 'node:fs';
import { tmpdir } from 'node:os';
import type { RunDirectorySystem } from '../../base/runDirectory.ts';

/** This process's system, for directories outside the storage directory. */
export const runSystem = (): RunDirectorySystem => ({
  env: process.env,
  platform: process.platform,
  uid: process.getuid?.(),
  temporary: tmpdir(),
  files: fs,
});
