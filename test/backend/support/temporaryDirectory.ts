import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, type afterAll } from 'vitest';

/** Makes directories that are gone after each test, or after all of them. */
export function temporaryDirectories(after: typeof afterEach | typeof afterAll = afterEach): () => string {
  const made: string[] = [];
  after(() => {
    for (const path of made.splice(0)) rmSync(path, { recursive: true, force: true, maxRetries: 5 });
  });
  return () => {
    const path = mkdtempSync(join(tmpdir(), 'cwm-'));
    made.push(path);
    return path;
  };
}
