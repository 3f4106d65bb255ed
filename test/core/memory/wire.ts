import type { GenerateRequest, Generation, OnPiece } from '../../../src/core/ports/engine.ts';
import { CwmError } from '../../../src/protocol/errors.ts';
import type { CoreFixture } from '../coreFixture.ts';

export interface Wire {
  /** Tokens of each request: prompt, tools and the answer's budget. */
  readonly requests: number[];
  readonly prompts: string[];
  /** Requests that were longer than the model's limit at that moment. */
  readonly over: number[];
}

/** The engine refuses what exceeds its context, tools and the answer's budget included, as real ones do. */
export function countAtTheWire({ engine }: CoreFixture, most = engine.model.maxModelLen): Wire {
  const wire: Wire = { requests: [], prompts: [], over: [] };
  engine.model = { ...engine.model, maxModelLen: most };
  const generate = engine.generate.bind(engine);
  engine.generate = async (request: GenerateRequest, onPiece: OnPiece, signal: AbortSignal): Promise<Generation> => {
    const { promptIds, messages, tools = [], maxTokens, addGenerationPrompt } = request;
    const ids = promptIds ?? (await engine.tokenize(messages, addGenerationPrompt, signal));
    const toolTokens = tools.length === 0 ? 0 : JSON.stringify(tools).length;
    const taken = ids.length + toolTokens + maxTokens;
    wire.requests.push(taken);
    wire.prompts.push(new TextDecoder().decode(Uint8Array.from(ids.filter((id) => id > 2))));
    if (taken > engine.model.maxModelLen) {
      wire.over.push(taken);
      throw new CwmError('ContextTooLong', `The wire refuses ${ids.length} + ${toolTokens} + ${maxTokens} tokens.`);
    }
    return generate(request, onPiece, signal);
  };
  return wire;
}
