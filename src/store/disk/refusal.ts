/** Codes of calls that the system does have and that failed, of a path that is gone, and of a machine that has no more handles or memory. */
const failures: ReadonlySet<string> = new Set([
  'EIO',
  'ENOSPC',
  'EDQUOT',
  'ENOENT',
  'ENOTDIR',
  'EMFILE',
  'ENFILE',
  'ENOMEM',
]);

/**
 * Whether the system refused a call that can be done without: a file system has no such call, a sandbox forbids it, a drive has another
 * owner. Each system has a code of its own for that, so that everything counts but the few codes that say what failed.
 */
export const isRefusal = (error: unknown): boolean => {
  const code = systemCode(error);
  return code !== null && !failures.has(code);
};

/** Of an error of the system; null for any other. */
export const systemCode = (error: unknown): string | null =>
  error instanceof Error &&
  'code' in error &&
  typeof error.code === 'string' &&
  /^(E[A-Z0-9]+|UNKNOWN)$/.test(error.code)
    ? error.code
    : null;
