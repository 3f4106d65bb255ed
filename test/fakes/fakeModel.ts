import { createHash } from 'node:crypto';

const imStart = 256;
/** Ends every message, and an answer. */
export const imEnd = 257;
const floatsPerBlock = 64;
/** Of one block: small, so that tests with thousands of them stay quick. */
export const blockBytes = floatsPerBlock * 4;
/** Answers are made of these: A to Z, a to z. */
const alphabet = [...Array.from({ length: 26 }, (_, i) => 65 + i), ...Array.from({ length: 26 }, (_, i) => 97 + i)];
const saneMagnitude = 1e4;

export interface Message {
  readonly role: string;
  readonly content: string;
}

export const tokenizeText = (text: string): number[] => [...Buffer.from(text, 'utf8')];

export const detokenize = (ids: readonly number[]): string =>
  Buffer.from(ids.filter((id) => id > 0 && id < 256)).toString('utf8');

/** As `/detokenize` tells it: special tokens have a text too. */
export const textOf = (ids: readonly number[]): string =>
  ids
    .reduce<{ text: string; bytes: number[] }[]>((runs, id) => {
      const last = runs.at(-1);
      if (id >= 256) runs.push({ text: id === imStart ? '<|im_start|>' : '<|im_end|>', bytes: [] });
      else if (last) last.bytes.push(id);
      else runs.push({ text: '', bytes: [id] });
      return runs;
    }, [])
    .map(({ text, bytes }) => text + Buffer.from(bytes).toString('utf8'))
    .join('');

/** ChatML, as small models have it. */
export function renderChat(messages: readonly Message[], addGenerationPrompt: boolean, firstLine: string): number[] {
  const system = firstLine === '' ? [] : [imStart, ...tokenizeText(`system\n${firstLine}`), imEnd];
  const said = messages.flatMap(({ role, content }) => [imStart, ...tokenizeText(`${role}\n${content}`), imEnd, 10]);
  return [...system, ...said, ...(addGenerationPrompt ? [imStart, ...tokenizeText('assistant\n')] : [])];
}

/** The state of the model after some tokens: a digest of every block's bytes as they were used, like attention over them. */
export type ModelState = Buffer;

const digest = (...parts: readonly (string | Uint8Array)[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

export const startState = (weights: string): ModelState => digest('start', weights);

/** The KV of a block depends on the weights, its tokens, and the KV of everything before it, damaged or not. */
export function computeBlock(weights: string, state: ModelState | null, tokens: readonly number[]): Buffer {
  if (state === null) return Buffer.alloc(blockBytes, 0xff);
  const seed = digest(weights, state, tokens.join(','));
  const bytes = Buffer.alloc(blockBytes);
  for (let index = 0; index < floatsPerBlock; index++) bytes.writeFloatLE(uniform(seed, index) * 2 - 1, index * 4);
  return bytes;
}

/** Null, for good, once any of the bytes are no sane numbers: NaN in the logits. */
export function attend(state: ModelState | null, bytes: Uint8Array): ModelState | null {
  if (state === null) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + 4 <= bytes.byteLength; at += 4) {
    const value = view.getFloat32(at, true);
    if (!(Math.abs(value) < saneMagnitude)) return null;
  }
  return digest(state, bytes);
}

export interface NextToken {
  readonly id: number;
  /** Most likely first; null is NaN. */
  readonly top: readonly { readonly id: number; readonly logprob: number | null }[];
}

/**
 * The greedy next token. `noise` stands for the order of floating-point additions, which is another one when a prompt is
 * computed than when it is read from the cache: it moves log-probabilities a little and, nearly always, no token.
 */
export function nextToken(
  weights: string,
  state: ModelState | null,
  tail: readonly number[],
  noise: number,
): NextToken {
  if (state === null) return { id: 0, top: [0, 1, 2, 3, 4].map((id) => ({ id, logprob: null })) };
  const seed = digest(weights, state, 'tail', tail.join(','));
  const logits = alphabet.map((id, index) => ({
    id,
    logit: uniform(seed, index) * 6 + noise * 1e-3 * uniform(seed, index + alphabet.length),
  }));
  const total = Math.log(logits.reduce((sum, { logit }) => sum + Math.exp(logit), 0));
  const top = logits
    .map(({ id, logit }) => ({ id, logprob: Math.fround(logit - total) }))
    .sort((a, b) => b.logprob - a.logprob);
  return { id: top[0]?.id ?? 65, top: top.slice(0, 20) };
}

/** In 0 … 1, from a seed and a position. */
function uniform(seed: Buffer, index: number): number {
  let x = seed.readUInt32LE((index % 8) * 4) ^ Math.imul(index + 1, 0x9e37_79b1);
  x = Math.imul(x ^ (x >>> 16), 0x85eb_ca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2_ae35);
  return ((x ^ (x >>> 16)) >>> 0) / 0x1_0000_0000;
}
