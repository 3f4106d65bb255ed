import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseOptions } from '../../src/embedded/options.ts';

describe("the embedded engine's flags", () => {
  it('have defaults, all but the folder', () => {
    expect(parseOptions(['--kv-dir', 'kv'])).toEqual({
      modelPath: null,
      kvDir: resolve('kv'),
      contextTokens: null,
      threads: null,
      port: 0,
      blockTokens: null,
      loadTimeoutMs: 30_000,
      gpu: 'auto',
      gpuLayers: null,
      kvType: 'f16',
      chatTemplate: null,
    });
  });

  it('are read', () => {
    const args =
      '--kv-dir /kv --model m.gguf --context 4096 --threads 3 --port 8000 --block-tokens 16 --load-timeout-ms 500 --gpu vulkan --gpu-layers 8 --kv-type q8_0 --chat-template chatml';
    expect(parseOptions(args.split(' '))).toEqual({
      modelPath: resolve('m.gguf'),
      kvDir: resolve('/kv'),
      contextTokens: 4096,
      threads: 3,
      port: 8000,
      blockTokens: 16,
      loadTimeoutMs: 500,
      gpu: 'vulkan',
      gpuLayers: 8,
      kvType: 'q8_0',
      chatTemplate: 'chatml',
    });
  });

  it.each([
    [''],
    ['--kv-dir='],
    ['--kv-dir kv --context 12.5'],
    ['--kv-dir kv --context 1e3'],
    ['--kv-dir kv --threads 0'],
    ['--kv-dir kv --port 65536'],
    ['--kv-dir kv --block-tokens many'],
    ['--kv-dir kv --unknown 1'],
    ['--kv-dir kv stray'],
  ])('refuse "%s" with CWM-1003', (args) => {
    expect(() => parseOptions(args.split(' ').filter(Boolean))).toThrow(expect.objectContaining({ code: 'CWM-1003' }));
  });
});
