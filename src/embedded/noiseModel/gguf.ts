/** A value of GGUF metadata with its type; the writer only knows the types that a small model needs. */
export type GgufValue =
  | { readonly type: 'u32' | 'i32' | 'f32'; readonly value: number }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'strings'; readonly value: readonly string[] }
  | { readonly type: 'i32s'; readonly value: readonly number[] };

export interface GgufTensor {
  readonly name: string;
  /** Innermost dimension first, as ggml counts. */
  readonly dimensions: readonly number[];
  readonly type: keyof typeof tensorTypes;
}

/** Tensor data starts at a multiple of this, and so does each tensor. */
const ggufAlignment = 32;

const valueTypes = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const;
const tensorTypes = { f32: 0, f16: 1, q5_1: 7 } as const;
/** Bits per weight; `q5_1` is blocks of 32 weights in 24 bytes. */
const weightBits = { f32: 32, f16: 16, q5_1: 6 } as const;

export function tensorBytes(tensor: GgufTensor): number {
  return (tensor.dimensions.reduce((product, size) => product * size, 1) * weightBits[tensor.type]) / 8;
}

export const aligned = (sizeBytes: number): number => Math.ceil(sizeBytes / ggufAlignment) * ggufAlignment;

/** Everything of a GGUF v3 file that comes before the tensors' data, padded to the alignment. */
export function ggufHeader(metadata: Readonly<Record<string, GgufValue>>, tensors: readonly GgufTensor[]): Buffer {
  const entries = Object.entries(metadata);
  const parts = [Buffer.from('GGUF'), u32(3), u64(tensors.length), u64(entries.length)];
  for (const [key, value] of entries) parts.push(string(key), encodeValue(value));
  let offset = 0;
  for (const tensor of tensors) {
    parts.push(string(tensor.name), u32(tensor.dimensions.length), ...tensor.dimensions.map(u64));
    parts.push(u32(tensorTypes[tensor.type]), u64(offset));
    offset += aligned(tensorBytes(tensor));
  }
  const header = Buffer.concat(parts);
  return Buffer.concat([header, Buffer.alloc(aligned(header.length) - header.length)]);
}

function encodeValue(entry: GgufValue): Buffer {
  switch (entry.type) {
    case 'u32':
      return Buffer.concat([u32(valueTypes.u32), u32(entry.value)]);
    case 'i32':
      return Buffer.concat([u32(valueTypes.i32), i32(entry.value)]);
    case 'f32':
      return Buffer.concat([u32(valueTypes.f32), f32(entry.value)]);
    case 'bool':
      return Buffer.concat([u32(valueTypes.bool), Buffer.from([entry.value ? 1 : 0])]);
    case 'string':
      return Buffer.concat([u32(valueTypes.string), string(entry.value)]);
    case 'strings':
      return array(valueTypes.string, entry.value.map(string));
    case 'i32s':
      return array(valueTypes.i32, entry.value.map(i32));
  }
}

const array = (elementType: number, elements: readonly Buffer[]): Buffer =>
  Buffer.concat([u32(valueTypes.array), u32(elementType), u64(elements.length), ...elements]);

function string(text: string): Buffer {
  const utf8 = Buffer.from(text);
  return Buffer.concat([u64(utf8.length), utf8]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function i32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

function f32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
