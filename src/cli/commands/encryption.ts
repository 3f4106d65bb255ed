import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { askToLeave, readBackendRecord } from '../../client/backendRecord.ts';
import { connectBackend } from '../../client/connectBackend.ts';
import type { RouteOutput } from '../../protocol/api.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { Perform } from '../action.ts';
import { withCommonOptions, type Run } from '../run.ts';

type Encryption = RouteOutput<'encryption'>;

/** A store of months takes a while to be written anew. */
const conversionMs = 30 * 60_000;
/** Another client may start a backend of its own in between. */
const attempts = 5;

export function registerEncryption(program: Command, perform: Perform): void {
  const encryption = program.command('encryption').description('whether the store lies encrypted on the disk');
  withCommonOptions(encryption.command('status'))
    .description('say whether it is, and where its key lies')
    .action((common: object) =>
      perform(common, async (run) => run.print(await run.call('encryption', {}), encryptionInWords)),
    );
  withCommonOptions(encryption.command('on'))
    .description('encrypt everything that is kept; the backend starts anew for it')
    .option('--key-file <file>', 'file of the key, made where there is none (default: ~/.config/cwm/store.key)')
    .action(({ keyFile, ...common }: { keyFile?: string }) =>
      perform(common, async (run) => {
        const file = keyFile ?? join(homedir(), '.config', 'cwm', 'store.key');
        const args = ['--encryption', 'on', '--encryption-key-file', resolve(run.terminal.cwd, file)];
        run.print(await turned(run, 'on', args), encryptionInWords);
      }),
    );
  withCommonOptions(encryption.command('off'))
    .description('write everything back as plain files')
    .action((common: object) =>
      perform(common, async (run) => run.print(await turned(run, 'off', ['--encryption', 'off']), encryptionInWords)),
    );
}

/** Has a new backend do it before it opens the store. */
async function turned(run: Run, wanted: Encryption['state'], args: readonly string[]): Promise<Encryption> {
  const { interrupted } = run.terminal;
  for (let attempt = 1; attempt <= attempts; attempt++) {
    const running = await readBackendRecord(run.storage);
    if (running) await askToLeave(running, interrupted);
    const start = { ...run.backendStart, args };
    const options = { storage: run.storage, kind: 'cli', start, deadlineMs: conversionMs };
    const client = await connectBackend(options, interrupted);
    try {
      const encryption = await client.call('encryption', {}, interrupted);
      if (encryption.state === wanted) return encryption;
    } finally {
      client.dispose();
    }
  }
  throw new CwmError('CWM-5010', 'Another program started a backend first, each time.', {
    hint: 'Close VS Code and other clients of this storage directory, and try again.',
  });
}

const encryptionInWords = ({ state, keyId, keyFile }: Encryption): string =>
  state === 'off'
    ? 'The store lies as plain files on the disk, which only you may read.'
    : [
        `The store is encrypted with key ${keyId}, which lies in ${keyFile}.`,
        'Keep a copy of that file elsewhere: without it nothing of the store can ever be read again.',
        "Caches of engines (KV), the backend's log, and the names of sessions and windows are not encrypted.",
      ].join('\n');
