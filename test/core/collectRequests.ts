import type { GenerateRequest } from '../../src/core/ports/engine.ts';
import type { FakeEngine } from './fakeEngine.ts';

/** @returns the requests for answers that the engine gets from now on. */
export function collectRequests(engine: FakeEngine): readonly GenerateRequest[] {
  const requests: GenerateRequest[] = [];
  const generate = engine.generate.bind(engine);
  engine.generate = (request, onPiece, signal) => {
    requests.push(request);
    return generate(request, onPiece, signal);
  };
  return requests;
}
