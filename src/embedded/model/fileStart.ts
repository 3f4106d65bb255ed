import { closeSync, openSync, readSync } from 'node:fs';

/** The newest version of the format that llama.cpp reads. */
const newestGgufVersion = 3;

interface FileKind {
  readonly matches: (start: Buffer) => boolean;
  /** What the file is, as the end of "… is not a GGUF file". */
  readonly words: string;
  readonly hint?: string;
}

const startsWith =
  (...texts: readonly string[]) =>
  (start: Buffer): boolean =>
    texts.some((text) => start.toString('latin1', 0, text.length).toLowerCase() === text);

/** What people have in place of a GGUF file, by their first bytes. */
const otherKinds: readonly FileKind[] = [
  { matches: (start) => start.length === 0, words: ': it is empty', hint: 'Download the model again.' },
  {
    matches: startsWith('version https://git-lfs'),
    words: ' but a Git LFS pointer to one',
    hint: 'Run "git lfs pull" in its folder, or download the model itself.',
  },
  {
    matches: (start) => /^\s*<(!doctype|html|head|\?xml)/i.test(start.toString('latin1')),
    words: ' but a web page',
    hint: 'The download went wrong; download the model again.',
  },
  {
    // A header of JSON behind its length.
    matches: (start) => start.length > 8 && start[8] === 0x7b && start.readBigUInt64LE() < 1n << 32n,
    words: ' but a safetensors file',
    hint: 'Choose a GGUF file of the same model, or serve this one with vLLM.',
  },
  { matches: startsWith('pk\x03\x04'), words: ' but a ZIP archive, as PyTorch writes', hint: 'Choose a GGUF file.' },
  { matches: startsWith('lmgg', 'fmgg', 'tjgg', 'algg'), words: ' but in a format that came before GGUF' },
  {
    matches: startsWith('{', '['),
    words: ' but JSON text',
    hint: 'The download went wrong; download the model again.',
  },
];

export interface NotGguf {
  /** Follows the file's path: " is not a GGUF file but a web page." */
  readonly words: string;
  readonly hint?: string;
}

/** Why a file with this start is none that llama.cpp reads; null when it may be one. */
export function whyNotGguf(start: Buffer): NotGguf | null {
  if (start.toString('latin1', 0, 4) !== 'GGUF') {
    const { words, hint } = otherKinds.find(({ matches }) => matches(start)) ?? { words: '', hint: undefined };
    return { words: ` is not a GGUF file${words}.`, ...(hint !== undefined && { hint }) };
  }
  if (start.length < 8)
    return { words: ' is cut short: it ends within its first bytes.', hint: 'Download the model again.' };
  const version = start.readUInt32LE(4);
  if (version !== 0 && (version & 0xffff) === 0) {
    return {
      words: ' is a big-endian GGUF file, which this machine cannot read.',
      hint: 'Choose a little-endian one.',
    };
  }
  if (version > newestGgufVersion) {
    return {
      words: ` is of GGUF version ${version}; this llama.cpp reads up to version ${newestGgufVersion}.`,
      hint: 'Update the extension, or choose a file of an older version.',
    };
  }
  return null;
}

/** The first bytes of a file, fewer when it has fewer. */
export function readStart(path: string, length = 512): Buffer {
  const bytes = Buffer.alloc(length);
  const file = openSync(path, 'r');
  try {
    return bytes.subarray(0, readSync(file, bytes, 0, length, 0));
  } finally {
    closeSync(file);
  }
}
