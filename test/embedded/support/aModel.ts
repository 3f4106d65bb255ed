import type { ModelInfo } from '../../../src/embedded/worker/workerProtocol.ts';

/** What the worker says of a plain model on the CPU. */
export const aModel = (changes: Partial<ModelInfo> = {}): ModelInfo => ({
  llamaCpp: 'b1000',
  name: 'a model',
  architecture: 'llama',
  gpu: null,
  device: 'CPU',
  contextTokens: 4096,
  threads: 1,
  vocabularySize: 256,
  bosId: 1,
  bosText: '<s>',
  eosText: '</s>',
  prependBos: true,
  endIds: [2],
  chatTemplate: null,
  markers: [],
  canTruncate: true,
  takesParts: false,
  hasScaledPositions: false,
  ...changes,
});
