import type { RouteOutput } from '../protocol/api.ts';

type Encryption = RouteOutput<'encryption'>;

/** A question to ask before the whole storage is rewritten. */
export interface Question {
  readonly message: string;
  readonly detail: string;
  readonly yes: string;
}

const restartSentence =
  'The backend restarts to do this. Answers in progress are stopped, and a large store can take minutes.';

export const encryptQuestion: Question = {
  message: 'Encrypt the storage?',
  detail: [
    'Sessions, messages, windows, receipts and the audit log are rewritten with AES-256-GCM.',
    'Not encrypted: KV caches of model servers, which can reveal text; names of sessions and windows; sizes and times.',
    'The key is stored in a separate file. If you lose that file, everything is lost: nobody has a second key.',
    restartSentence,
  ].join('\n\n'),
  yes: 'Choose Key File…',
};

export const decryptQuestion: Question = {
  message: 'Decrypt the storage?',
  detail: ['Everything is rewritten as plain files, which only you may read.', restartSentence].join('\n\n'),
  yes: 'Decrypt',
};

/** Whether the storage is encrypted, and what to do about its key. */
export const encryptionSentences = ({ state, keyId, keyFile }: Encryption): string[] =>
  state === 'off'
    ? ['The storage is not encrypted. Its files are plain, and only you may read them.']
    : [`The storage is encrypted with key ${keyId}.`, keySentence(keyFile), unencryptedSentence];

/** What encrypting or decrypting did. @param changed false when the storage was already as wanted. */
export function turnedSentences({ state, keyFile }: Encryption, changed: boolean): string[] {
  if (state === 'on') {
    return [changed ? 'The storage is now encrypted.' : 'The storage is already encrypted.', keySentence(keyFile)];
  }
  return changed
    ? ['The storage is no longer encrypted.', 'The key file was not deleted: older copies of the storage need it.']
    : ['The storage is not encrypted.'];
}

const keySentence = (keyFile: string | null): string =>
  `The key is in ${keyFile}. Store a copy of that file elsewhere: without it nobody can read the storage again.`;

const unencryptedSentence =
  "KV caches of model servers, the backend's log, and the names of sessions and windows are not encrypted.";
