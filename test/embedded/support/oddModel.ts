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

/** Architectures whose state cannot be cut: a sliding window, a recurrent model, and a hybrid of convolution and attention. */
export type OddArchitecture = 'gemma3' | 'mamba' | 'lfm2';

export interface OddModelOptions {
  readonly seed?: number;
  /** Left out, replaced, or null for none. */
  readonly chatTemplate?: string | null;
  readonly metadata?: Readonly<Record<string, GgufValue>>;
  /** Leaves these many of the last tensors to a second part, as a split model does. */
  readonly tensors?: (all: readonly GgufTensor[]) => readonly GgufTensor[];
}

const embedding = 128;
const feedForward = 256;
const heads = 2;
const headDimension = 64;
/** Of the first Gemma that slides: prompts of a few hundred tokens leave the window. */
const windowTokens = 64;
const inner = 256;
const stateSize = 16;
const kernel = 4;
const rank = 8;
/** Six, so that one of Gemma's layers sees everything. */
const layers: Record<OddArchitecture, number> = { gemma3: 6, mamba: 2, lfm2: 4 };

const u32 = (value: number): GgufValue => ({ type: 'u32', value });

/** Writes a small model of random weights; the same arguments give the same bytes. */
export function writeOddModel(path: string, architecture: OddArchitecture, options: OddModelOptions = {}): string {
  const { vocabulary, metadata } = noiseTokenizer();
  const { 'tokenizer.chat_template': ownTemplate, ...tokenizer } = metadata;
  const template: GgufValue | undefined =
    options.chatTemplate === undefined
      ? ownTemplate
      : options.chatTemplate === null
        ? undefined
        : { type: 'string', value: options.chatTemplate };
  const all = tensorsOf(architecture, vocabulary.length);
  const tensors = options.tensors?.(all) ?? all;
  const header = ggufHeader(
    {
      'general.architecture': { type: 'string', value: architecture },
      'general.name': { type: 'string', value: `odd-${architecture}` },
      ...Object.fromEntries(
        Object.entries(shapeOf(architecture, vocabulary.length)).map(([key, value]) => [
          `${architecture}.${key}`,
          value,
        ]),
      ),
      ...tokenizer,
      ...(template && { 'tokenizer.chat_template': template }),
      ...options.metadata,
    },
    tensors,
  );
  const data = tensors.map((tensor) => weightsOf(tensor, options.seed ?? 1, all.indexOf(tensor)));
  writeFileSync(path, Buffer.concat([header, ...data]));
  return path;
}

function shapeOf(architecture: OddArchitecture, vocabularySize: number): Record<string, GgufValue> {
  const common = {
    context_length: u32(4096),
    embedding_length: u32(embedding),
    block_count: u32(layers[architecture]),
    vocab_size: u32(vocabularySize),
    'attention.layer_norm_rms_epsilon': { type: 'f32', value: 1e-5 },
  } as const;
  if (architecture === 'mamba') {
    return {
      ...common,
      feed_forward_length: u32(0),
      'attention.head_count': u32(0),
      'ssm.conv_kernel': u32(kernel),
      'ssm.inner_size': u32(inner),
      'ssm.state_size': u32(stateSize),
      'ssm.time_step_rank': u32(rank),
    };
  }
  const attention = {
    ...common,
    feed_forward_length: u32(feedForward),
    'attention.head_count': u32(heads),
    'rope.freq_base': { type: 'f32', value: 10_000 },
  } as const;
  if (architecture === 'lfm2') {
    return {
      ...attention,
      'attention.head_count_kv': {
        type: 'i32s',
        value: Array.from({ length: layers.lfm2 }, (_, at) => (isConvolution(at) ? 0 : 1)),
      },
      'shortconv.l_cache': u32(3),
    };
  }
  return {
    ...attention,
    'attention.head_count_kv': u32(1),
    'attention.key_length': u32(headDimension),
    'attention.value_length': u32(headDimension),
    'attention.sliding_window': u32(windowTokens),
  };
}

const isConvolution = (layer: number): boolean => layer % 2 === 0;

function tensorsOf(architecture: OddArchitecture, vocabularySize: number): GgufTensor[] {
  const tensor = (name: string, dimensions: readonly number[], type: 'f16' | 'f32' = 'f16'): GgufTensor => ({
    name: `${name}.weight`,
    dimensions,
    type,
  });
  const layer = (at: number): GgufTensor[] => {
    const own = (name: string, dimensions: readonly number[], type: 'f16' | 'f32' = 'f16'): GgufTensor =>
      tensor(`blk.${at}.${name}`, dimensions, type);
    const norm = (name: string, width = embedding): GgufTensor => own(name, [width], 'f32');
    if (architecture === 'mamba') return [norm('attn_norm'), ...mambaTensors(own, at)];
    const feed = [
      norm('ffn_norm'),
      own('ffn_gate', [embedding, feedForward]),
      own('ffn_up', [embedding, feedForward]),
      own('ffn_down', [feedForward, embedding]),
    ];
    if (architecture === 'lfm2' && isConvolution(at)) {
      return [
        norm('attn_norm'),
        own('shortconv.conv', [3, embedding], 'f32'),
        own('shortconv.in_proj', [embedding, 3 * embedding]),
        own('shortconv.out_proj', [embedding, embedding]),
        ...feed,
      ];
    }
    return [
      norm('attn_norm'),
      own('attn_q', [embedding, heads * headDimension]),
      own('attn_k', [embedding, headDimension]),
      own('attn_v', [embedding, headDimension]),
      own('attn_output', [heads * headDimension, embedding]),
      norm('attn_q_norm', headDimension),
      norm('attn_k_norm', headDimension),
      ...(architecture === 'gemma3' ? [norm('post_attention_norm'), norm('post_ffw_norm')] : []),
      ...feed,
    ];
  };
  return [
    tensor('token_embd', [embedding, vocabularySize]),
    ...Array.from({ length: layers[architecture] }, (_, at) => layer(at)).flat(),
    tensor(architecture === 'lfm2' ? 'token_embd_norm' : 'output_norm', [embedding], 'f32'),
    tensor('output', [embedding, vocabularySize]),
  ];
}

function mambaTensors(
  own: (name: string, dimensions: readonly number[], type?: 'f16' | 'f32') => GgufTensor,
  layer: number,
): GgufTensor[] {
  const bare = (name: string, dimensions: readonly number[]): GgufTensor => ({
    name: `blk.${layer}.${name}`,
    dimensions,
    type: 'f32',
  });
  return [
    own('ssm_in', [embedding, 2 * inner]),
    own('ssm_conv1d', [kernel, inner], 'f32'),
    bare('ssm_conv1d.bias', [inner]),
    own('ssm_x', [inner, rank + 2 * stateSize]),
    own('ssm_dt', [rank, inner]),
    bare('ssm_dt.bias', [inner]),
    bare('ssm_a', [stateSize, inner]),
    bare('ssm_d', [inner]),
    own('ssm_out', [inner, embedding]),
  ];
}

function weightsOf(tensor: GgufTensor, seed: number, index: number): Buffer {
  const bytes = Buffer.alloc(aligned(tensorBytes(tensor)));
  const count = tensor.dimensions.reduce((product, size) => product * size, 1);
  const [width = 1] = tensor.dimensions;
  if (tensor.type === 'f16') {
    const halves = new Uint16Array(count);
    const peaky = /attn_[qk]\./.test(tensor.name) ? 2.2 : tensor.name === 'output.weight' ? 3 : 1.2;
    new RandomWeights(seed * 1000 + index).fillHalf(
      halves,
      tensor.name === 'token_embd.weight' ? 1 : peaky / Math.sqrt(width),
    );
    bytes.set(Buffer.from(halves.buffer));
    return bytes;
  }
  // A recurrent state that forgets slowly, so that what stands far back is heard at the end.
  const value = (at: number): number => {
    if (tensor.name.endsWith('ssm_a')) return -0.02 - (at % width) * 0.01;
    if (/conv/.test(tensor.name) && !tensor.name.endsWith('bias')) return ((at * 7919) % 13) / 13 - 0.3;
    return tensor.name.endsWith('bias') ? 0.1 : 1;
  };
  bytes.set(Buffer.from(Float32Array.from({ length: count }, (_, at) => value(at)).buffer));
  return bytes;
}
