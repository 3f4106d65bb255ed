import { closeSync, mkdirSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { logEnd, openBackendLog } from '../../src/client/backendLog.ts';
import { userHome, userHomeOrNull } from '../../src/client/userHome.ts';
import { storagePath } from '../../src/client/storagePath.ts';
import { temporaryDirectories } from '../backend/support/temporaryDirectory.ts';

const makeDirectory = temporaryDirectories();
afterEach(() => void vi.unstubAllEnvs());

describe.runIf(process.platform !== 'win32')('a user without a home directory', () => {
  it('hears that, and what to name instead', () => {
    vi.stubEnv('HOME', 'nowhere');
    expect(userHomeOrNull()).toBeNull();
    expect(() => userHome()).toThrow(
      expect.objectContaining({ code: 'CWM-1003', hint: expect.stringContaining('HOME') }),
    );
    expect(() => storagePath(undefined, {}, '/')).toThrow(
      expect.objectContaining({ code: 'CWM-1003', hint: expect.stringContaining('--storage DIR') }),
    );
    expect(storagePath('data', {}, '/home/ada')).toBe('/home/ada/data');
    expect(storagePath(undefined, { CWM_STORAGE: '/data' }, '/')).toBe('/data');
  });
});

describe.runIf(process.platform === 'linux')('the log of a backend', () => {
  it('is in the storage directory, and its last lines stand behind a message', () => {
    const storage = join(makeDirectory(), 'new');
    const { path, descriptor } = openBackendLog(storage);
    writeSync(descriptor, `${Array.from({ length: 20 }, (_, line) => `line ${line}`).join('\n')}\n`);
    closeSync(descriptor);
    expect(path).toBe(join(storage, 'backend.log'));
    expect(logEnd(path).split('\n')).toEqual(Array.from({ length: 8 }, (_, line) => `line ${line + 12}`));
    expect(logEnd(join(storage, 'no.log'))).toBe('');
  });

  it("is in the user's run directory where the storage directory takes no log", () => {
    const [storage, run] = [makeDirectory(), makeDirectory()];
    vi.stubEnv('XDG_RUNTIME_DIR', run);
    mkdirSync(join(storage, 'backend.log'));
    const { path, descriptor } = openBackendLog(storage);
    writeSync(descriptor, 'a line\n');
    closeSync(descriptor);
    expect(path.startsWith(`${run}/cwm-`)).toBe(true);
    expect(readFileSync(path, 'utf8')).toBe('a line\n');
  });
});
