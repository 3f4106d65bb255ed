import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  attend,
  blockBytes,
  computeBlock,
  nextToken,
  startState,
  type ModelState,
  type NextToken,
} from './fakeModel.ts';

/** What one slot holds: token ids, and the KV bytes of each. */
export interface FakeSlot {
  ids: number[];
  kv: Buffer[];
  /** Filled from a file and not computed on since. */
  isRestored: boolean;
  /** A refused restore left noise behind, which nothing but a restart removes. */
  damage: 'none' | 'answers' | 'numbers';
  /** The number of its last request; null before the first one. */
  task: number | null;
}

export const emptySlot = (): FakeSlot => ({ ids: [], kv: [], isRestored: false, damage: 'none', task: null });

export interface Evaluated {
  readonly cached: number;
  readonly computed: number;
  readonly next: NextToken;
}

/** Slots as llama-server has them, with its prompt cache in memory. Answers depend on the bytes of all KV that is used. */
export class FakeSlots {
  readonly slots: FakeSlot[];
  /** Since the server started. */
  requests = 0;
  /** What was pushed out of a slot by something unlike it. */
  #memory: FakeSlot[] = [];

  constructor(count: number) {
    this.slots = Array.from({ length: count }, emptySlot);
  }

  /** Brings the slot to hold exactly these ids. */
  evaluate(
    slot: FakeSlot,
    ids: readonly number[],
    weights: string,
    reuse: boolean,
    filesHelp: boolean,
    { lostTokens = 0, lostAfterRestore = 0 } = {},
  ): Evaluated {
    slot.task = ++this.requests;
    this.#swap(slot, ids, reuse);
    const alike = reuse && (filesHelp || !slot.isRestored) ? commonLength(slot.ids, ids) : 0;
    const cached = Math.max(0, Math.min(alike, ids.length - 1 - lostTokens - (slot.isRestored ? lostAfterRestore : 0)));
    slot.kv.length = cached;
    slot.ids = [...ids];
    slot.isRestored = false;
    let state = stateOf(slot.kv, weights);
    for (const id of ids.slice(cached)) {
      const bytes = computeBlock(weights, state, [id]);
      slot.kv.push(bytes);
      state = attend(state, bytes);
    }
    return { cached, computed: ids.length - cached, next: this.predict(slot, weights, cached === 0 ? 1 : 0) };
  }

  /** Somebody else's prompt comes into the slot, and what it pushes out is in no memory, as with `--cache-ram 0`. */
  pushOut(slot: FakeSlot, ids: readonly number[], weights: string): void {
    this.evaluate(slot, ids, weights, false, true);
    this.#memory = [];
  }

  /** The slot that has most of these ids. */
  likest(ids: readonly number[]): number {
    const alike = this.slots.map((slot) => commonLength(slot.ids, ids));
    return alike.indexOf(Math.max(...alike));
  }

  /** Every slot without a request loses what it has to the memory, as with `--kv-unified`. */
  clearIdle(busy: FakeSlot): void {
    for (const slot of this.slots) {
      if (slot === busy || slot.ids.length === 0) continue;
      this.#memory.push({ ...slot });
      Object.assign(slot, { ...emptySlot(), task: slot.task });
    }
  }

  /** Adds the token to what the slot holds. */
  append(slot: FakeSlot, id: number, weights: string): NextToken {
    slot.kv.push(computeBlock(weights, stateOf(slot.kv, weights), [id]));
    slot.ids.push(id);
    return this.predict(slot, weights, 0);
  }

  predict(slot: FakeSlot, weights: string, noise: number): NextToken {
    const state = slot.damage === 'numbers' ? null : stateOf(slot.kv, weights);
    return nextToken(slot.damage === 'answers' ? `${weights} damaged` : weights, state, [], noise);
  }

  #swap(slot: FakeSlot, ids: readonly number[], reuse: boolean): void {
    const alike = commonLength(slot.ids, ids);
    if (slot.ids.length === 0 || alike >= slot.ids.length / 2) return;
    this.#memory.push({ ...slot, kv: [...slot.kv] });
    const better = this.#memory.find((entry) => commonLength(entry.ids, ids) > Math.max(alike, ids.length / 2));
    if (reuse && better) Object.assign(slot, { ids: [...better.ids], kv: [...better.kv] });
  }
}

function stateOf(kv: readonly Buffer[], weights: string): ModelState | null {
  let state: ModelState | null = startState(weights);
  for (const bytes of kv) state = attend(state, bytes);
  return state;
}

function commonLength(a: readonly number[], b: readonly number[]): number {
  const limit = Math.min(a.length, b.length);
  let length = 0;
  while (length < limit && a[length] === b[length]) length++;
  return length;
}

/** How llama.cpp begins such files: `ggsq`, and a version of 4 bytes. From version 3 on, the ids are packed. */
const mark = Buffer.from('qsgg');
const headBytes = mark.length + 8;

/** What a server appends that can go back in a model with a sliding window only to certain places. */
export interface FakeCheckpoint {
  readonly tokens: number;
  readonly bytes: Uint8Array;
}

const uint32 = (...values: readonly number[]): Buffer => {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, at) => bytes.writeUInt32LE(value, 4 * at));
  return bytes;
};

export const appendix = (checkpoints: readonly FakeCheckpoint[]): Buffer =>
  Buffer.concat([
    Buffer.from('SCKP'),
    uint32(1, checkpoints.length),
    ...checkpoints.flatMap(({ tokens, bytes }) => [
      uint32(tokens, 0, 0, tokens, bytes.length, 0),
      bytes,
      uint32(0, 0, 0, 0),
    ]),
  ]);

export interface FileForm {
  /** Whether the ids stand in it as newer servers write them. */
  readonly packsIds: boolean;
  /** How many checkpoints, one in ten tokens from the end backwards. */
  readonly contextCheckpoints: number;
}

/** @returns the bytes written. */
export function writeSlotFile(folder: string, name: string, slot: FakeSlot, form: FileForm): number {
  const { ids } = slot;
  const values = form.packsIds ? [0xffffffff, 1, ids.length, ...ids, 0] : ids;
  const checkpoints = Array.from({ length: form.contextCheckpoints }, (_, at) => ({
    tokens: Math.max(0, ids.length - 10 * (form.contextCheckpoints - at)),
    bytes: Buffer.alloc(1000, at),
  }));
  const bytes = Buffer.concat([
    mark,
    uint32(form.packsIds ? 4 : 2, values.length, ...values),
    ...slot.kv,
    ...(checkpoints.length > 0 ? [appendix(checkpoints)] : []),
  ]);
  writeFileSync(join(folder, name), bytes);
  return bytes.length;
}

/** What llama.cpp makes of a file: `short` aborts it, when only a little is missing. */
export function readSlotFile(folder: string, name: string): FakeSlot | 'invalid' | 'short' {
  let bytes: Buffer;
  try {
    bytes = readFileSync(join(folder, name));
  } catch {
    return 'invalid';
  }
  if (bytes.length < headBytes || !bytes.subarray(0, mark.length).equals(mark)) return 'invalid';
  const isPacked = bytes.readUInt32LE(mark.length) > 2;
  const values = bytes.readUInt32LE(mark.length + 4);
  const count = values - (isPacked ? 4 : 0);
  const kvAt = headBytes + 4 * values;
  const missing = kvAt + count * blockBytes - bytes.length;
  if (count < 0) return 'invalid';
  if (missing > 0) return missing < blockBytes ? 'short' : 'invalid';
  const idsAt = headBytes + (isPacked ? 12 : 0);
  const ids = Array.from({ length: count }, (_, index) => bytes.readUInt32LE(idsAt + 4 * index));
  const kv = ids.map((_, index) => bytes.subarray(kvAt + index * blockBytes, kvAt + (index + 1) * blockBytes));
  return { ids, kv, isRestored: true, damage: 'none', task: null };
}
