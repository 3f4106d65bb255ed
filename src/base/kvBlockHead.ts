/**
 * Where fields lie in the files that the embedded engine stores KV in: the engine writes them, and the backend reads the checksum.
 * Everything before the body is the head, which has tags of its own (docs/storage-format.md).
 */
export const kvBlockHead = { nameAt: 8, sha256At: 40, nonceAt: 72, tagAt: 84, headTagAt: 100, bodyAt: 116 } as const;
