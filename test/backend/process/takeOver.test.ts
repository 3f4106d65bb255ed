import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { lockHolder, takeBackendLock } from '../../../src/backend/process/backendLock.ts';
import { takeOverStore, type TakeOverCalls } from '../../../src/backend/process/takeOver.ts';
import { temporaryDirectories } from '../support/temporaryDirectory.ts';

const makeDirectory = temporaryDirectories();

/** Two places below one directory: the editor's own, and the one that all clients share. */
function places(): { older: string; shared: string; parent: string } {
  const parent = makeDirectory();
  return { parent, older: join(parent, 'editor', 'storage'), shared: join(parent, 'data', 'cwm') };
}

function makeStore(path: string, sessions: readonly string[]): void {
  mkdirSync(join(path, 'contexts'), { recursive: true });
  writeFileSync(join(path, 'store.json'), '{}');
  for (const session of sessions) mkdirSync(join(path, 'contexts', session));
}

const sessionsIn = (path: string): string[] =>
  existsSync(join(path, 'contexts')) ? readdirSync(join(path, 'contexts')).sort() : [];

const isLink = (path: string): boolean => lstatSync(path).isSymbolicLink();

const calls: TakeOverCalls = { rename: renameSync, link: symlinkSync };

/** Ends the process, so to speak, before the call with this number. */
function crashingAt(number: number): TakeOverCalls {
  let made = 0;
  const count = (): void => {
    if (++made === number) throw new Error('the power went');
  };
  return {
    rename: (from, to) => {
      count();
      renameSync(from, to);
    },
    link: (target, path) => {
      count();
      symlinkSync(target, path);
    },
  };
}

describe('taking over the store of the editor', () => {
  it('moves it to the shared place, and leaves a link for programs of an earlier version', () => {
    const { older, shared } = places();
    makeStore(older, ['a', 'b']);
    writeFileSync(join(older, 'encryption.json'), 'sealed');
    expect(takeOverStore(older, shared)).toBe('moved');
    expect(isLink(shared)).toBe(false);
    expect(sessionsIn(shared)).toEqual(['a', 'b']);
    expect(readFileSync(join(shared, 'encryption.json'), 'utf8')).toBe('sealed');
    expect(isLink(older)).toBe(true);
    expect(sessionsIn(older)).toEqual(['a', 'b']);
    expect(takeOverStore(older, shared)).toBe('none');
    const taken = takeBackendLock(shared, () => undefined);
    expect(taken.held).toBe(true);
    if (taken.held) taken.lock.dispose();
  });

  it('sets a shared store without records aside, with everything in it', () => {
    const { older, shared, parent } = places();
    makeStore(older, ['a']);
    makeStore(shared, []);
    writeFileSync(join(shared, 'backend.log'), 'a line');
    expect(takeOverStore(older, shared)).toBe('moved');
    expect(sessionsIn(shared)).toEqual(['a']);
    const aside = readdirSync(join(parent, 'data')).find((name) => name.startsWith('cwm.unused-')) ?? '';
    expect(readFileSync(join(parent, 'data', aside, 'backend.log'), 'utf8')).toBe('a line');
    expect(lockHolder(shared)).toBeNull();
  });

  it('touches neither when both have records', () => {
    const { older, shared } = places();
    makeStore(older, ['a']);
    makeStore(shared, ['b']);
    expect(takeOverStore(older, shared)).toBe('none');
    expect([sessionsIn(older), sessionsIn(shared)]).toEqual([['a'], ['b']]);
  });

  it('does nothing where the older place has no store, or one without records', () => {
    const { older, shared } = places();
    expect(takeOverStore(older, shared)).toBe('none');
    makeStore(older, []);
    expect(takeOverStore(older, shared)).toBe('none');
    expect(existsSync(shared)).toBe(false);
  });

  it('links to it while a backend works on it', () => {
    const { older, shared } = places();
    makeStore(older, ['a']);
    const taken = takeBackendLock(older, () => undefined);
    expect(takeOverStore(older, shared)).toBe('linked');
    expect(isLink(shared)).toBe(true);
    expect(isLink(older)).toBe(false);
    expect(sessionsIn(shared)).toEqual(['a']);
    expect(lockHolder(shared)?.pid).toBe(process.pid);
    if (taken.held) taken.lock.dispose();
  });

  it.each(['EXDEV', 'EACCES', 'EROFS'])('links to it when it cannot be renamed (%s)', (code) => {
    const { older, shared } = places();
    makeStore(older, ['a']);
    const rename = (): never => {
      throw Object.assign(new Error(code), { code });
    };
    expect(takeOverStore(older, shared, { ...calls, rename })).toBe('linked');
    expect(isLink(shared)).toBe(true);
    expect(sessionsIn(shared)).toEqual(['a']);
    const taken = takeBackendLock(shared, () => undefined);
    expect(taken.held).toBe(true);
    if (taken.held) taken.lock.dispose();
  });

  it.each([1, 2, 3, 4])(
    'a crash before step %i leaves one whole store, and the next call ends what was begun',
    (step) => {
      const { older, shared } = places();
      makeStore(older, ['a', 'b']);
      makeStore(shared, []);
      try {
        takeOverStore(older, shared, crashingAt(step));
      } catch {
        // As a crash would end it.
      }
      const whole = [older, shared].filter((path) => existsSync(path) && !isLink(path) && sessionsIn(path).length > 0);
      expect(whole.map(sessionsIn)).toEqual([['a', 'b']]);
      takeOverStore(older, shared);
      expect(sessionsIn(shared)).toEqual(['a', 'b']);
    },
  );

  it('of two processes at once, both end with the same store', () => {
    const { older, shared } = places();
    makeStore(older, ['a']);
    const other: TakeOverCalls = {
      ...calls,
      rename: (from, to) => {
        // The other process finds the lock taken and links.
        rmSync(shared, { force: true });
        symlinkSync(older, shared);
        renameSync(from, to);
      },
    };
    expect(takeOverStore(older, shared, other)).toBe('none');
    expect(sessionsIn(shared)).toEqual(['a']);
  });
});
