import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';

/** Makes directories that are gone after each test. */
export function temporaryDirectories(): () => string {
  const made: string[] = [];
  afterEach(() => {
    for (const path of made.splice(0)) rmSync(path, { recursive: true, force: true, maxRetries: 5 });
  });
  return () => {
    const path = mkdtempSync(join(tmpdir(), 'cwm-'));
    made.push(path);
    return path;
  };
}
