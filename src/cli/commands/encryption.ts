import type { Command } from 'commander';
import { absolutePath } from '../../client/absolutePath.ts';
import { defaultKeyFile, turnEncryption, type EncryptionWish } from '../../client/turnEncryption.ts';
import type { RouteOutput } from '../../protocol/api.ts';
import type { Perform } from '../action.ts';
import { notEmpty } from '../arguments.ts';
import { withCommonOptions, type Run } from '../run.ts';

type Encryption = RouteOutput<'encryption'>;

export function registerEncryption(program: Command, perform: Perform): void {
  const encryption = program.command('encryption').description('whether the store lies encrypted on the disk');
  withCommonOptions(encryption.command('status'))
    .description('say whether it is, and where its key lies')
    .action((common: object) =>
      perform(common, async (run) => run.print(await run.call('encryption', {}), encryptionInWords)),
    );
  withCommonOptions(encryption.command('on'))
    .description('encrypt everything that is kept; the backend starts anew for it')
    .option(
      '--key-file <file>',
      'file of the key, made where there is none (default: ~/.config/cwm/store.key)',
      notEmpty,
    )
    .action(({ keyFile, ...common }: { keyFile?: string }) =>
      perform(common, async (run) => {
        const file = absolutePath(keyFile ?? defaultKeyFile(), run.terminal.cwd);
        run.print(await turned(run, { state: 'on', keyFile: file }), encryptionInWords);
      }),
    );
  withCommonOptions(encryption.command('off'))
    .description('write everything back as plain files')
    .action((common: object) =>
      perform(common, async (run) => run.print(await turned(run, { state: 'off' }), encryptionInWords)),
    );
}

const turned = (run: Run, wish: EncryptionWish): Promise<Encryption> =>
  turnEncryption({ storage: run.storage, kind: 'cli', start: run.backendStart }, wish, run.terminal.interrupted);

const encryptionInWords = ({ state, keyId, keyFile }: Encryption): string =>
  state === 'off'
    ? 'The store lies as plain files on the disk, which only you may read.'
    : [
        `The store is encrypted with key ${keyId}, which lies in ${keyFile}.`,
        'Keep a copy of that file elsewhere: without it nothing of the store can ever be read again.',
        "Caches of engines (KV), the backend's log, and the names of sessions and windows are not encrypted.",
      ].join('\n');
