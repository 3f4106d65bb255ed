import type { Command } from 'commander';
import { absolutePath } from '../../../client/absolutePath.ts';
import { defaultKeyFile, turnEncryption, type EncryptionTarget } from '../../../client/turnEncryption.ts';
import { encryptionSentences, turnedSentences } from '../../../words/encryption.ts';
import type { Perform } from '../../action.ts';
import { notEmpty } from '../../arguments.ts';
import { withCommonOptions, type Run } from '../../run.ts';

export function registerEncryption(program: Command, perform: Perform): void {
  const encryption = program.command('encryption').description('encrypt the storage on the disk, or decrypt it');
  withCommonOptions(encryption.command('status'))
    .description('show whether the storage is encrypted, and where its key is')
    .action((common: object) =>
      perform(common, async (run) =>
        run.print(await run.call('encryption', {}), (now) => encryptionSentences(now).join('\n')),
      ),
    );
  withCommonOptions(encryption.command('on'))
    .description('encrypt the storage; the backend restarts to do this')
    .option(
      '--key-file <file>',
      'file of the key, created if it does not exist (default: ~/.config/cwm/store.key)',
      notEmpty,
    )
    .action(({ keyFile, ...common }: { keyFile?: string }) =>
      perform(common, (run) =>
        turn(run, { state: 'on', keyFile: absolutePath(keyFile ?? defaultKeyFile(), run.terminal.cwd) }),
      ),
    );
  withCommonOptions(encryption.command('off'))
    .description('rewrite the storage as plain files; the backend restarts to do this')
    .action((common: object) => perform(common, (run) => turn(run, { state: 'off' })));
}

async function turn(run: Run, target: EncryptionTarget): Promise<void> {
  const options = { storage: run.storage, kind: 'cli', start: run.backendStart } as const;
  const turned = await turnEncryption(options, target, run.terminal.interrupted);
  run.print(turned, (now) => turnedSentences(now, true).join('\n'));
}
