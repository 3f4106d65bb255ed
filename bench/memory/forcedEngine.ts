import type { ChatMessage, Engine, GenerateRequest, Generation, OnPiece } from '../../src/core/ports/engine.ts';
import type { Counted, Model } from '../../test/core/memory/endless/countingEngine.ts';

/** A real engine whose answers a script gives: what it computes and reuses of each prompt is its own. */
export class ForcedEngine {
  readonly spec = 'http://forced';
  readonly counted: Counted[] = [];
  readonly #engine: Engine;
  readonly #model: Model;

  constructor(engine: Engine, model: Model) {
    this.#engine = engine;
    this.#model = model;
  }

  describe(signal: AbortSignal): ReturnType<Engine['describe']> {
    return this.#engine.describe(signal);
  }

  tokenize(messages: readonly ChatMessage[], opens: boolean, signal: AbortSignal): Promise<readonly number[]> {
    return this.#engine.tokenize(messages, opens, signal);
  }

  detokenize(ids: readonly number[], signal: AbortSignal): Promise<string | null> {
    return this.#engine.detokenize(ids, signal);
  }

  async generate(request: GenerateRequest, onPiece: OnPiece, signal: AbortSignal): Promise<Generation> {
    const real = await this.#engine.generate({ ...request, maxTokens: 1 }, () => undefined, signal);
    const { promptIds, reuse } = real;
    const isSummary = request.messages.at(-1)?.content.startsWith('Summarise our conversation') === true;
    this.counted.push({
      kind: isSummary ? 'summary' : 'answer',
      sent: promptIds.length,
      reused: reuse.cachedTokens ?? 0,
      needed: promptIds.length + request.maxTokens,
      messages: request.messages.length,
    });
    const said = isSummary
      ? { text: 'The two spoke of parsers, caches and tokens, one paragraph after the other.' }
      : this.#model((await this.#engine.detokenize(promptIds, signal)) ?? '');
    const calls = 'call' in said ? [{ ...said.call, id: `call-${this.counted.length}` }] : undefined;
    const text = 'call' in said ? '' : said.text;
    const outputIds = await this.#answerIds(request, { text, calls }, signal);
    if (!isSummary) await this.#force(request, [...promptIds, ...outputIds], signal);
    onPiece({ promptIds });
    onPiece(calls ? { toolCall: JSON.stringify(calls) } : { text, ids: outputIds });
    const finishReason = calls ? 'tool_calls' : 'stop';
    return { ...real, text, ...(calls && { toolCalls: calls }), outputIds, finishReason, reuse };
  }

  close(): Promise<void> {
    return this.#engine.close();
  }

  /** The answer's ids as the template writes it behind the prompt, but for what only ends the message. */
  async #answerIds(
    { messages }: GenerateRequest,
    { text, calls }: { readonly text: string; readonly calls: ChatMessage['toolCalls'] },
    signal: AbortSignal,
  ): Promise<number[]> {
    const answer: ChatMessage = { role: 'assistant', content: text, ...(calls && { toolCalls: calls }) };
    const before = await this.#engine.tokenize(messages, true, signal);
    return (await this.#engine.tokenize([...messages, answer], false, signal)).slice(before.length);
  }

  /** The answer is in the cache, as if the engine had written it. Nobody counts this request. */
  async #force({ salt }: GenerateRequest, promptIds: readonly number[], signal: AbortSignal): Promise<void> {
    const request = { messages: [], salt, maxTokens: 1, temperature: 0, addGenerationPrompt: true, promptIds };
    await this.#engine.generate(request, () => undefined, signal);
  }
}
