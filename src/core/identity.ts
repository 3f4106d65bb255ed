import { CwmError } from '../protocol/errors.ts';
import type { ModelIdentity } from '../protocol/schemas/session.ts';

/** Why two models cannot share KV, as the end of a sentence; null when they can. Unknown fields count as equal. */
export function modelDifference(frozen: ModelIdentity, served: ModelIdentity): string | null {
  if (fileName(frozen.id) !== fileName(served.id))
    return `it was created with model "${frozen.id}", and the server has "${served.id}" now`;
  if (frozen.fingerprint && served.fingerprint && frozen.fingerprint !== served.fingerprint) {
    return `model "${frozen.id}" has other weights now`;
  }
  if (frozen.adapters && served.adapters && frozen.adapters !== served.adapters) {
    return `model "${frozen.id}" has other LoRA adapters, or other scales of them, now`;
  }
  return null;
}

/** Earlier records call a model of llama-server by the path of its file. */
const fileName = (id: string): string =>
  /\.gguf$/i.test(id) ? id.replace(/^.*[\\/]/, '').replace(/(-\d{5}-of-\d{5})?\.gguf$/i, '') : id;

/** @throws CwmError ModelMismatch when the engine serves another model than before; a session without an answer yet takes any model. */
export function requireSameModel(known: ModelIdentity | null, served: ModelIdentity): void {
  const difference = known && modelDifference(known, served);
  if (difference) throw new CwmError('ModelMismatch', `This conversation cannot continue here: ${difference}.`);
}
