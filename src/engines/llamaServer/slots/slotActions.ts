import { CwmError, isCwmError } from '../../../protocol/errors.ts';
import type { Link, LinkRequest } from '../../http/link.ts';
import { anythingSchema, restoredSchema, savedSchema } from '../wire.ts';

/**
 * An action on a slot. It waits at the server while a request runs in that slot, so its time limit is that of a prefill. After a lost
 * connection it is not sent again, since an action that ended the server would end it again.
 */
const action = (slot: number, name: 'save' | 'restore' | 'erase', body: unknown): LinkRequest => ({
  method: 'POST',
  path: `/slots/${slot}?action=${name}`,
  body,
  patience: 'long',
  wrongAnswer: 'EngineFailed',
});

/** The server answered, and did not do it. */
const isAnswer = (error: unknown): boolean => isCwmError(error, 'EngineFailed', 'NotAnEngine', 'EngineRejected');

/** @returns false when the server was restarted without a slot folder and refuses the action: its slots then hold nothing from files. */
export async function eraseSlot(link: Link, slot: number, signal: AbortSignal): Promise<boolean> {
  try {
    await link.json(action(slot, 'erase', {}), anythingSchema, signal);
    return true;
  } catch (error) {
    if (isCwmError(error, 'NotAnEngine')) return false;
    throw error;
  }
}

export type SaveOutcome = { readonly tokens: number; readonly sizeBytes: number } | { readonly why: string };

/**
 * Writes the slot's content into a file of the server's slot folder, over one of the same name. An empty slot must not be
 * saved: restoring that ends older servers (llama.cpp#14434).
 */
export async function saveSlot(link: Link, slot: number, filename: string, signal: AbortSignal): Promise<SaveOutcome> {
  try {
    const { value } = await link.json(action(slot, 'save', { filename }), savedSchema, signal);
    return { tokens: value.n_saved, sizeBytes: value.n_written };
  } catch (error) {
    if (error instanceof CwmError && isAnswer(error)) return { why: whyNotSaved(error) };
    throw error;
  }
}

/** llama.cpp saves no slot of a server that loaded a projector for pictures, not even one that holds text alone. */
const whyNotSaved = ({ message, context }: CwmError): string =>
  context?.['status'] === 501 && /multimodal/i.test(message)
    ? 'llama-server saves no slots while its model sees pictures (HTTP 501: "This feature is not supported by multimodal"). To save the KV of text, start it without --mmproj.'
    : message;

/** `lost`: the server ended during the action. */
export type RestoreOutcome =
  | { readonly kind: 'restored'; readonly tokens: number }
  | { readonly kind: 'refused' | 'lost'; readonly error: CwmError };

/** Fills the slot from a file of the server's slot folder. */
export async function restoreSlot(
  link: Link,
  slot: number,
  filename: string,
  signal: AbortSignal,
): Promise<RestoreOutcome> {
  try {
    const { value } = await link.json(action(slot, 'restore', { filename }), restoredSchema, signal);
    return { kind: 'restored', tokens: value.n_restored };
  } catch (error) {
    if (!(error instanceof CwmError)) throw error;
    if (isAnswer(error)) return { kind: 'refused', error };
    const isLost =
      error.name === 'StreamCut' ||
      (error.name === 'EngineUnavailable' && error.context?.['reason'] !== 'ECONNREFUSED');
    if (isLost) return { kind: 'lost', error };
    throw error;
  }
}
