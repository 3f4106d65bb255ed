import { closeSync, fstatSync, openSync, readFileSync, readlinkSync, writeSync } from 'node:fs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { openLargeMemoryFiles } from '../../../src/embedded/kv/state/largePages.ts';

const canOpen = await openLargeMemoryFiles(1);
for (const file of canOpen ?? []) closeSync(file);

describe('files in memory of large pages', () => {
  afterEach(() => vi.unstubAllEnvs());

  it.runIf(canOpen !== null)('have no name, are apart, and are written and read by their number', async () => {
    const files = (await openLargeMemoryFiles(3)) ?? [];
    expect(files).toHaveLength(3);
    for (const [at, file] of files.entries()) {
      expect(fstatSync(file)).toMatchObject({ nlink: 0, size: 0 });
      expect(fstatSync(file).mode & 0o777).toBe(0o600);
      expect(readlinkSync(`/proc/self/fd/${file}`)).toContain(`cwm-state-${at}`);
      // As llama.cpp opens it.
      const opened = openSync(`/proc/self/fd/${file}`, 'w');
      writeSync(opened, `state ${at}`);
      closeSync(opened);
    }
    expect(files.map((file) => readFileSync(`/proc/self/fd/${file}`, 'utf8'))).toEqual([
      'state 0',
      'state 1',
      'state 2',
    ]);
    for (const file of files) closeSync(file);
  });

  it('are none where the system has no program for namespaces', async () => {
    vi.stubEnv('PATH', '/nowhere');
    expect(await openLargeMemoryFiles(3)).toBeNull();
  });
});
