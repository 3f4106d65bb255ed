/*
 * How a store looks from outside. A process that does not hold the store's lock may read these names, and nothing below them.
 */

/** A directory is a store when it has this file. */
export const storeMarkerFile = 'store.json';

/** A store has records when one of these directories in it has an entry. */
export const recordDirectories = ['contexts', 'windows', 'trash'] as const;
