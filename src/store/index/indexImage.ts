import { sha256Hex } from '../../base/hash.ts';

const marker = '\ncwm index, sha256 ';
const trailerBytes = marker.length + 64 + 1;

/**
 * A database image with its SHA-256 behind it, where SQLite does not look. SQLite's own checks do not notice a flipped bit in a row.
 */
export const sealImage = (image: Uint8Array): Uint8Array =>
  Buffer.concat([image, Buffer.from(`${marker}${sha256Hex(image)}\n`)]);

/** @returns null when the bytes are not what {@link sealImage} made. */
export function openImage(sealed: Uint8Array): Uint8Array | null {
  if (sealed.length < trailerBytes) return null;
  const image = sealed.subarray(0, -trailerBytes);
  const trailer = Buffer.from(sealed.subarray(-trailerBytes)).toString('latin1');
  return trailer === `${marker}${sha256Hex(image)}\n` ? image : null;
}
