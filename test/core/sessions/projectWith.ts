import type { Caller } from '../../../src/core/ports/projects.ts';
import { CwmError } from '../../../src/protocol/errors.ts';
import type { ContextFile } from '../../../src/protocol/schemas/session.ts';
import { coreFixture, never } from '../coreFixture.ts';
import { fakeFolders } from '../fakeFolders.ts';

export const project = 'file:///a';
export const code = (name: string): string =>
  Array.from({ length: 12 }, (_, line) => `export const ${name}${line} = ${line};`).join('\n');

/** A project whose files the test changes. */
export async function projectWith(says: object = {}) {
  const disk = new Map([
    ['a.ts', code('a')],
    ['b.ts', code('b')],
    ['c.ts', code('c')],
  ]);
  const caller: { current: Caller } = { current: { client: 'cli.1', isAgent: false } };
  const namers = new Map<string, string | undefined>();
  const config = { current: { prime: ['.'], system_prompt: 'Be brief.', ...says } as object | null };
  const fixture = await coreFixture({}, undefined, (own) => ({
    ...own,
    caller: () => caller.current,
    folders: fakeFolders(() => config.current),
    files: {
      read: async (paths, _cwd, _excluded, _signal, namedBy) => {
        for (const path of paths) namers.set(path, namedBy);
        const named = [...disk].filter(([path]) => paths.includes('.') || paths.includes(path));
        const absent = paths.find((path) => path !== '.' && !disk.has(path));
        if (absent !== undefined) throw new CwmError('PathNotFound', `There is no ${absent}.`);
        return { files: named.map(([path, text]): ContextFile => ({ path, text })), skipped: [] };
      },
    },
  }));
  return {
    ...fixture,
    disk,
    namers,
    config,
    caller,
    make: (more: object = {}) => fixture.cwm.makeProjectBase({ project, ...more }, never()),
  };
}
