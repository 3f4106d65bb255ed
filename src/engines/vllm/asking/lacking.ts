import { isCwmError, type CwmError } from '../../../protocol/errors.ts';
import type { ServerIdentity } from '../serverIdentity.ts';

export const noIdsTaken =
  'This server computes nothing over token ids, so what it reuses cannot be observed. The text is safe.';

/** Whether the error says that a server that is not vLLM lacks what a measurement needs. The measurement is then lost, and nothing else. */
export const isLacking = ({ speaksVllm }: ServerIdentity, error: unknown): error is CwmError =>
  !speaksVllm && isCwmError(error, 'EngineRejected', 'EngineFailed', 'NotAnEngine');
