import fs from 'node:fs';
import { tmpdir } from 'node:os';
import * as base from '../base/runDirectory.ts';

const system = (): base.RunDirectorySystem => ({
  env: process.env,
  platform: process.platform,
  uid: process.getuid?.(),
  temporary: tmpdir(),
  files: fs,
});

/** Where a backend writes its record and its log when it cannot write to the storage directory. */
export const userRunDirectories = (storage: string): readonly string[] => base.runDirectories(storage, system());

export const makeUserRunDirectory = (storage: string): string | null => base.makeRunDirectory(storage, system());
