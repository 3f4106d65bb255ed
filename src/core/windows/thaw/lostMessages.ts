import type { Message } from '../../../protocol/schemas/session.ts';
import type { WindowManifest } from '../../../protocol/schemas/window.ts';
import type { CoreContext } from '../../context.ts';

/** A window's conversation as it can be read now. */
export interface ReadMessages {
  /** All of them, stand-ins included. */
  readonly messages: readonly Message[];
  /** Those in place of messages that were lost since the window was frozen. */
  readonly standIns: readonly Message[];
}

/**
 * Reads the window's messages. A stand-in that an earlier thaw stored counts as lost, unless the window was frozen later: then its token
 * ids are those of the stand-in. A clone is as old as the window that it was made of, which may be gone.
 */
export async function readMessages(
  core: CoreContext,
  { session, messageIds, createdAt, mode }: WindowManifest,
): Promise<ReadMessages> {
  const messages = await core.store.messages.loadOrStandIns(session, messageIds);
  const isLost = ({ lost }: Message): boolean => lost !== undefined && (lost > createdAt || mode === 'clone');
  return { messages, standIns: messages.filter(isLost) };
}

/** What a receipt says of them. */
export function lossInWords(standIns: readonly Message[]): string {
  const listed = standIns.map(({ id, sequence }) => `${sequence} (${id})`).join(', ');
  const isOne = standIns.length === 1;
  return [
    `Damaged and lost: ${isOne ? 'message' : 'messages'} ${listed}.`,
    `A placeholder stands in ${isOne ? 'its' : 'each'} place, and the rest is whole.`,
    'The KV was not loaded, because it contains the lost text: the next message sends the conversation as it is shown.',
    '"cwm verify" names the damaged files.',
  ].join(' ');
}
