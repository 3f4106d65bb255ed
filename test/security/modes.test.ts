import { spawn } from 'node:child_process';
import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryDirectories } from '../backend/support/temporaryDirectory.ts';
import { until } from '../support/until.ts';
import { cliOn } from '../cli/support/cli.ts';
import { backendEntry } from '../client/support/realBackends.ts';
import { smallModel } from '../embedded/support/smallModel.ts';

const makeDirectory = temporaryDirectories();

/** Paths that somebody else may read, write or enter, and files that are executable. */
function openPaths(root: string): string[] {
  const found: string[] = [];
  const look = (path: string): void => {
    const stat = lstatSync(path);
    const mode = stat.mode & 0o777;
    const allowed = stat.isDirectory() ? 0o700 : stat.isFile() ? 0o600 : 0o700;
    if ((mode & ~allowed) !== 0) found.push(`${path} ${mode.toString(8)}`);
    if (stat.isDirectory()) for (const name of readdirSync(path)) look(join(path, name));
  };
  look(root);
  return found;
}

describe('S0-50 S0-60 who can reach the files', () => {
  it.skipIf(process.platform === 'win32')(
    'after everything was used, with a real engine and under the umask 0, all files are 0600 and all directories 0700',
    async () => {
      const root = makeDirectory();
      const storage = join(root, 'storage');
      mkdirSync(storage);
      chmodSync(storage, 0o777);
      mkdirSync(join(root, 'project'));
      writeFileSync(join(root, 'project/file.ts'), 'export const a = 1;\n'.repeat(100));
      const cwm = cliOn(storage, join(root, 'project'));
      const engine = `embedded:${smallModel(root)}`;
      const backend = spawn(
        'sh',
        [
          '-c',
          'umask 0; exec "$0" "$@"',
          process.execPath,
          backendEntry,
          '--storage',
          storage,
          '--engine',
          engine,
          '--embedded-threads',
          '1',
        ],
        { stdio: 'ignore' },
      );
      try {
        await until('the backend is there', () => existsSync(join(storage, 'backend.json')));
        await cwm.json('session', 'new', '--id', 's', '--project', '.');
        await cwm.json('prime', 's', 'file.ts');
        await cwm.json('send', 's', 'What is a?', '--max-tokens', '2');
        await cwm.json('freeze', 's', 'w', '--checkpoint');
        await cwm.json('clone', 'w', 'w2');
        await cwm.json('thaw', 'w', '--session', 't');
        await cwm.json('send', 't', 'And b?', '--max-tokens', '2');
        await cwm.json('delete', 'w2');
        await cwm.json('list');
        await cwm.json('verify');
        await cwm.json('audit', 'verify');
        await cwm.refusal('freeze', 'nobody', 'w3');
        expect(openPaths(storage)).toEqual([]);
        const kinds = readdirSync(storage, { recursive: true, encoding: 'utf8' }).map((path) =>
          path.replace(/.*\./, ''),
        );
        expect(kinds).toEqual(expect.arrayContaining(['json', 'jsonl', 'u32', 'kv', 'log']));
      } finally {
        await cwm.run('stop');
        backend.kill('SIGKILL');
      }
      expect(openPaths(storage)).toEqual([]);
    },
  );
});
