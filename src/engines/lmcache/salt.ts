const longestSalt = 128;

/** Whether LMCache takes this cache salt: it puts the salt into file names, and refuses `@`, slashes and NUL (LMCache#3042). */
export const isLmcacheSalt = (salt: string): boolean => salt.length <= longestSalt && !/[@/\\\0]/.test(salt);
