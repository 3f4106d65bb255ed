import type { TakenOver } from '../../protocol/backendRecord.ts';

/** The button that makes the older store the one that this editor uses. */
export const useOlderStore = 'Use the Other Store';

/** Tells where the sessions of an earlier version are now. */
export const takenOverText = (outcome: Exclude<TakenOver, 'none'>, older: string, shared: string): string =>
  outcome === 'moved'
    ? `Your sessions moved to ${shared}, where the command line finds them too. They were in ${older}.`
    : `Your sessions stay in ${older}. ${shared} links to them, so that the command line finds them too.`;

/** Tells of a store that stayed where it was. */
export const otherStoreText = (older: string, shared: string): string =>
  `The editor and the command line now share ${shared}. Sessions that this editor showed before are in ${older}: ` +
  `"cwm session list --storage "${older}"" lists them.`;
