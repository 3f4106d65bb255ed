import type { Brand } from '../../src/base/brand.ts';

/** As `T`, with plain strings for ids, so that a test can write them as literals. */
export type Plain<T> = T extends Brand<string, string> ? string : { [Key in keyof T]: Plain<T[Key]> };
