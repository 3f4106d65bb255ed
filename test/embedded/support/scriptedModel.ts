import { writeFileSync } from 'node:fs';
import {
  aligned,
  ggufHeader,
  tensorBytes,
  type GgufTensor,
  type GgufValue,
} from '../../../src/embedded/noiseModel/gguf.ts';
import { noiseTokenizer } from '../../../src/embedded/noiseModel/noiseModel.ts';
import { RandomWeights } from '../../../src/embedded/noiseModel/randomWeights.ts';

const embedding = 128;
const width = 64;
const u32 = (value: number): GgufValue => ({ type: 'u32', value });
/** `LLAMA_TOKEN_TYPE_USER_DEFINED`: one token wherever its text stands, and part of every text. */
const userDefined = 4;

/**
 * Writes a model that says this after each `<|assistant|>`, token by token, whatever came before: its layers add nothing, and the output row
 * of each token is the embedding of the one before it. Texts in `marks` are tokens of their own.
 *
 * @param script each token once.
 */
export function writeScriptedModel(
  path: string,
  {
    marks,
    script,
    chatTemplate,
  }: { readonly marks: readonly string[]; readonly script: readonly string[]; readonly chatTemplate: string },
): string {
  const { vocabulary: plain, metadata } = noiseTokenizer();
  const vocabulary = [...plain, ...marks];
  const idOf = (token: string): number => {
    const id = vocabulary.indexOf(token);
    if (id < 0) throw new Error(`The vocabulary has no "${token}".`);
    return id;
  };
  const types = metadata['tokenizer.ggml.token_type'];
  if (types?.type !== 'i32s') throw new Error('the tokenizer has no types');
  const tensors = tensorsOf(vocabulary.length);
  const header = ggufHeader(
    {
      'general.architecture': { type: 'string', value: 'llama' },
      'general.name': { type: 'string', value: 'scripted' },
      'llama.context_length': u32(4096),
      'llama.embedding_length': u32(embedding),
      'llama.block_count': u32(1),
      'llama.feed_forward_length': u32(embedding),
      'llama.attention.head_count': u32(1),
      'llama.attention.head_count_kv': u32(1),
      'llama.attention.key_length': u32(width),
      'llama.attention.value_length': u32(width),
      'llama.attention.layer_norm_rms_epsilon': { type: 'f32', value: 1e-5 },
      'llama.rope.dimension_count': u32(width),
      'llama.vocab_size': u32(vocabulary.length),
      ...metadata,
      'tokenizer.ggml.tokens': { type: 'strings', value: vocabulary },
      'tokenizer.ggml.token_type': { type: 'i32s', value: [...types.value, ...marks.map(() => userDefined)] },
      'tokenizer.chat_template': { type: 'string', value: chatTemplate },
    },
    tensors,
  );
  const embeddings = new Uint16Array(embedding * vocabulary.length);
  new RandomWeights(1).fillHalf(embeddings, 1);
  const output = new Uint16Array(embeddings.length);
  const said = ['<|assistant|>', ...script, '<|end|>'].map(idOf);
  for (const [at, id] of said.entries()) {
    const before = said[at - 1];
    if (before !== undefined)
      output.set(embeddings.subarray(before * embedding, (before + 1) * embedding), id * embedding);
  }
  const dataOf = ({ name }: GgufTensor): Uint16Array | Float32Array | null => {
    if (name === 'token_embd.weight') return embeddings;
    if (name === 'output.weight') return output;
    return name.endsWith('norm.weight') ? new Float32Array(embedding).fill(1) : null;
  };
  const data = tensors.map((tensor) => {
    const bytes = Buffer.alloc(aligned(tensorBytes(tensor)));
    const values = dataOf(tensor);
    if (values) bytes.set(new Uint8Array(values.buffer));
    return bytes;
  });
  writeFileSync(path, Buffer.concat([header, ...data]));
  return path;
}

function tensorsOf(vocabularySize: number): GgufTensor[] {
  const matrix = (name: string, inputs: number, outputs: number): GgufTensor => ({
    name: `${name}.weight`,
    dimensions: [inputs, outputs],
    type: 'f16',
  });
  const norm = (name: string): GgufTensor => ({ name: `${name}.weight`, dimensions: [embedding], type: 'f32' });
  return [
    matrix('token_embd', embedding, vocabularySize),
    norm('blk.0.attn_norm'),
    matrix('blk.0.attn_q', embedding, width),
    matrix('blk.0.attn_k', embedding, width),
    matrix('blk.0.attn_v', embedding, width),
    matrix('blk.0.attn_output', width, embedding),
    norm('blk.0.ffn_norm'),
    matrix('blk.0.ffn_gate', embedding, embedding),
    matrix('blk.0.ffn_up', embedding, embedding),
    matrix('blk.0.ffn_down', embedding, embedding),
    norm('output_norm'),
    matrix('output', embedding, vocabularySize),
  ];
}
