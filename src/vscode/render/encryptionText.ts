import type { TurnedEncryption } from '../contributions.ts';

/** A question that is asked before the storage is written anew. */
export interface Question {
  readonly message: string;
  readonly detail: string;
  readonly yes: string;
}

const whileItWorks =
  'The backend starts anew for it: answers that are being written are stopped, and where much is kept it takes minutes.';

export const encryptQuestion: Question = {
  message: 'Encrypt everything that is kept?',
  detail: [
    'Sessions, messages, windows, receipts and the audit log are written anew with AES-256-GCM.',
    'Not encrypted: caches of engines (KV), from which text can be told; names of sessions and windows; sizes and times.',
    'The key is a file of its own. Without that file everything is lost: nobody has a second one.',
    whileItWorks,
  ].join('\n\n'),
  yes: 'Choose Key File…',
};

export const decryptQuestion: Question = {
  message: 'Decrypt everything that is kept?',
  detail: ['All of it is written back as plain files, which only you may read.', whileItWorks].join('\n\n'),
  yes: 'Decrypt',
};

/** What was done, and what to do with the key file now. */
export function turnedText({ state, keyFile, changed }: TurnedEncryption): string {
  if (state === 'on') {
    const done = changed ? 'The storage is encrypted now.' : 'The storage is encrypted already.';
    return `${done} Its key lies in ${keyFile}: keep a copy elsewhere, without it nothing can ever be read again.`;
  }
  return changed
    ? 'The storage lies as plain files again. The key file was left where it is: copies made before need it.'
    : 'The storage is not encrypted.';
}
