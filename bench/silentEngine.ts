import { noEvidence, type Generation, type GenerateRequest, type OnPiece } from '../src/core/ports/engine.ts';
import type { ToolCall } from '../src/protocol/schemas/toolCall.ts';

const tokensOfMessage = 40;
/** Contexts that it remembers: a benchmark of the product's memory must not measure the engine's. */
const contextsRemembered = 16;
const idsOfMessage = Array.from({ length: tokensOfMessage }, (_, at) => at);

/** What an engine answers at once. */
export interface SilentAnswer {
  readonly pieces: readonly string[];
  readonly toolCalls?: readonly ToolCall[];
}

/** Computes nothing: what a turn costs with it is the product's own cost. Its prompts are what it saw before, and one more message. */
export class SilentEngine {
  readonly spec = 'http://silent';
  readonly #answer: (request: GenerateRequest) => SilentAnswer;
  /** By salt. */
  readonly #contexts = new Map<string, number[]>();

  constructor(answer: (request: GenerateRequest) => SilentAnswer) {
    this.#answer = answer;
  }

  async describe() {
    const model = { id: 'silent', root: null, maxModelLen: null, fingerprint: null };
    return { kind: 'vllm', version: '1', model, blockTokens: 16, hashProfile: null, isUntried: false, notices: [] };
  }

  async generate(request: GenerateRequest, onPiece: OnPiece): Promise<Generation> {
    const promptIds = this.#contexts.get(request.salt) ?? [];
    // The one that was used last is the last one.
    this.#contexts.delete(request.salt);
    this.#contexts.set(request.salt, promptIds);
    const [oldest] = this.#contexts.keys();
    if (this.#contexts.size > contextsRemembered && oldest !== undefined) this.#contexts.delete(oldest);
    promptIds.push(...idsOfMessage);
    const { pieces, toolCalls } = this.#answer(request);
    onPiece({ promptIds: [...promptIds] });
    for (const text of pieces) onPiece({ text });
    onPiece({ ids: idsOfMessage });
    const generation: Generation = {
      text: pieces.join(''),
      promptIds: [...promptIds],
      outputIds: idsOfMessage,
      idsSource: 'engine',
      finishReason: 'stop',
      reuse: noEvidence(promptIds.length),
      ...(toolCalls && { toolCalls }),
    };
    promptIds.push(...idsOfMessage);
    return generation;
  }
}
