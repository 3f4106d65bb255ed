import type { KeyObject } from 'node:crypto';
import { isSealed, openFrames, sealFrame } from './frames.ts';

/** For small files that the backend itself writes into the storage directory: they are encrypted where the store is. */
export interface Envelope {
  /** What to write, whole or behind what is there. */
  seal(plain: Uint8Array): Uint8Array;
  /** `isOld`: it has another form than {@link Envelope.seal} gives it. A part that a crash left at its end is left out. */
  open(raw: Uint8Array): { readonly plain: Buffer; readonly isOld: boolean };
}

export const plainEnvelope: Envelope = {
  seal: (plain) => plain,
  open: (raw) => ({ plain: Buffer.from(raw), isOld: false }),
};

export const sealedEnvelope = (key: KeyObject): Envelope => ({
  seal: (plain) => sealFrame(key, plain),
  open: (raw) => {
    // An earlier version wrote it in clear.
    if (!isSealed(raw)) return { plain: Buffer.from(raw), isOld: true };
    return { plain: openFrames(key, Buffer.from(raw)).plain, isOld: false };
  },
});
