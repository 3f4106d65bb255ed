/**
 * Where fields lie in the files that the embedded engine stores KV in: the engine writes them, and the backend reads the checksum.
 * Everything before the body is the head. A tag of its own covers the fields before it (docs/storage-format.md); the SHA-256 behind it is zeros
 * until the engine has computed it.
 */
export const kvBlockHead = { nameAt: 8, nonceAt: 40, tagAt: 52, headTagAt: 68, sha256At: 84, bodyAt: 116 } as const;
