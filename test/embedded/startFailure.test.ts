import { describe, expect, it } from 'vitest';
import { startFailure } from '../../src/embedded/startFailure.ts';
import { OperationFailedError, WorkerLostError } from '../../src/embedded/worker/llamaProcess.ts';

describe('K3 a model that cannot be served', () => {
  it.each([
    [
      'the file is at fault: llama.cpp says how',
      new OperationFailedError('unknown model architecture: x', 'model'),
      'NotAModel',
      'unknown model architecture: x',
    ],
    [
      'there is no llama.cpp for this machine',
      new OperationFailedError('win32-x64 with cuda', 'binary'),
      'NoEngineBinary',
      'This package has no engine for win32-x64 with cuda.',
    ],
    [
      'the memory is too small',
      new OperationFailedError('Failed to create context', 'context'),
      'Exhausted',
      'cannot make a context',
    ],
    [
      'it was killed while it loaded',
      new WorkerLostError('start', 'The llama.cpp process ended with SIGKILL.'),
      'EngineUnavailable',
      'SIGKILL',
    ],
  ] as const)('says so when %s', (_, cause, name, words) => {
    const failure = startFailure('/models/m.gguf', cause);
    expect(failure.name).toBe(name);
    expect(failure.message).toContain(words);
  });

  it('may be tried again only when its process was lost', () => {
    expect(startFailure('m', new WorkerLostError('start', 'gone')).report().retryable).toBe(true);
    expect(startFailure('m', new OperationFailedError('no', 'model')).report().retryable).toBe(false);
  });
});
