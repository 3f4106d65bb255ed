import { expect, test } from 'vitest';
import { kvOptionsIn } from '../../../src/engines/llamaServer/kvOptions.ts';

const read = (line: string, variables: Record<string, string> = {}): string =>
  kvOptionsIn(['llama-server', ...line.split(' ')], variables);

test.each([
  ['-m a.gguf --port 8080 -v', ''],
  ['-ctk q8_0', '--cache-type-k q8_0'],
  ['--cache-type-k=q8_0', '--cache-type-k q8_0'],
  ['--cache_type_k q8_0', '--cache-type-k q8_0'],
  ['-ctk f16 -ctv f16', ''],
  ['-ctk q8_0 -ctk q4_0', '--cache-type-k q4_0'],
  ['--rope-freq-base 1e6', '--rope-freq-base 1000000'],
  ['--rope-freq-base 1000000', '--rope-freq-base 1000000'],
  [
    '--rope-scaling yarn --rope-scale 4.0 --yarn-orig-ctx 32768',
    '--rope-scaling yarn --rope-scale 4 --yarn-orig-ctx 32768',
  ],
  ['--yarn-attn-factor -1.0', '--yarn-attn-factor -1'],
  ['--override-kv a.b=int:2 --override-kv c=bool:true', '--override-kv a.b=int:2 --override-kv c=bool:true'],
  ['--control-vector-scaled v.gguf 0.80 -c 4096', '--control-vector-scaled v.gguf 0.8'],
])('K6 of "%s", what decides the worth of KV is "%s"', (line, options) => {
  expect(read(line)).toBe(options);
});

test('K6 the order of the command line does not matter', () => {
  expect(read('-ctv q8_0 --rope-scale 2 -ctk q8_0')).toBe(read('-ctk q8_0 -ctv q8_0 --rope-scale 2'));
});

test('K6 a variable counts where the command line is silent', () => {
  const variables = { LLAMA_ARG_ROPE_SCALE: '2', LLAMA_ARG_CACHE_TYPE_V: 'q8_0' };
  expect(read('-m a.gguf', variables)).toBe('--cache-type-v q8_0 --rope-scale 2');
  expect(read('--rope-scale 8', variables)).toBe('--cache-type-v q8_0 --rope-scale 8');
  expect(read('-ctv f16', variables)).toBe('--rope-scale 2');
});
