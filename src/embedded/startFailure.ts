import { CwmError } from '../protocol/errors.ts';
import { OperationFailedError, WorkerLostError } from './worker/llamaProcess.ts';

/** The error for people when llama.cpp could not start with a model. */
export function startFailure(path: string, cause: unknown): CwmError {
  if (cause instanceof CwmError) return cause;
  const words = cause instanceof Error ? cause.message : String(cause);
  if (cause instanceof WorkerLostError) {
    return new CwmError('EngineUnavailable', `llama.cpp ended while it loaded ${path}: ${words}`, {
      cause,
      hint: 'Try again. If it ends each time, the machine has too little memory for the model, or the file is damaged.',
    });
  }
  const fault = cause instanceof OperationFailedError ? cause.fault : null;
  if (fault === 'binary') {
    return new CwmError('NoEngineBinary', `This package has no engine for ${words}.`, { cause });
  }
  if (fault === 'context') {
    return new CwmError('Exhausted', `llama.cpp cannot make a context for ${path}: ${words}`, {
      cause,
      hint: 'Set a shorter context (cwm.embedded.contextTokens) or a smaller KV type, or choose a smaller model.',
    });
  }
  return new CwmError('NotAModel', `llama.cpp cannot load ${path}: ${words}`, { cause });
}
