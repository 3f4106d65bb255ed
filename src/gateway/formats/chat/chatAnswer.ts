import { answerErrorOf, type AnswerError } from '../answerError.ts';
import type { Answer, AnswerUsage } from '../item.ts';
import { chatItem } from './chatCompletions.ts';
import { countOf, listOf, objectOf, parsed, textOf, type JsonObject } from '../json.ts';

interface CallUnderWay {
  id: string;
  name: string;
  arguments: string;
}

/** Puts the answer of a chat together, from the events of a stream or from one whole body. */
export class ChatAnswer {
  #text = '';
  #reasoning = '';
  /** By the server's own numbers, which may have holes. */
  readonly #calls = new Map<number, CallUnderWay>();
  #finishReason: string | null = null;
  #stopSequence: string | null = null;
  #usage: AnswerUsage | null = null;
  #promptIds: readonly number[] = [];
  readonly #outputIds: number[] = [];
  #hasIds = false;
  #model: string | null = null;
  #isDone = false;
  #error: AnswerError | null = null;

  /** @param data what stands behind `data:` of one event. */
  event(data: string): void {
    if (data === '[DONE]') {
      this.#isDone = true;
      return;
    }
    const chunk = objectOf(parsed(data));
    if (!chunk) return;
    this.#error ??= answerErrorOf(chunk);
    this.#head(chunk);
    const choice = objectOf(listOf(chunk['choices'])[0]);
    if (!choice || (countOf(choice['index']) ?? 0) !== 0) return;
    const delta = objectOf(choice['delta']) ?? {};
    this.#text += textOf(delta['content']) || textOf(choice['text']);
    this.#reasoning += textOf(delta['reasoning_content']) || textOf(delta['reasoning']);
    for (const call of listOf(delta['tool_calls'])) this.#call(objectOf(call) ?? {});
    const older = objectOf(delta['function_call']);
    if (older) this.#call({ index: 0, function: older });
    this.#outputIds.push(...(listOf(choice['token_ids']) as number[]));
    if (typeof choice['finish_reason'] === 'string') this.#finishReason = choice['finish_reason'];
    this.#stopSequence = textOf(choice['stop_reason']) || this.#stopSequence;
  }

  /** The body of an answer that was not streamed. */
  body(text: string): void {
    const body = objectOf(parsed(text));
    this.#error = answerErrorOf(body);
    const choice = objectOf(listOf(body?.['choices'])[0]);
    if (!body || !choice) return;
    this.#head(body);
    if (choice['prompt_token_ids']) this.#prompt(choice['prompt_token_ids']);
    const { text: said, calls = [], reasoning = '' } = chatItem(choice['message']);
    this.#text = said || textOf(choice['text']);
    this.#reasoning = reasoning;
    for (const [at, call] of calls.entries()) this.#calls.set(at, { ...call });
    this.#outputIds.push(...(listOf(choice['token_ids']) as number[]));
    this.#finishReason = textOf(choice['finish_reason']) || null;
    this.#stopSequence = textOf(choice['stop_reason']) || null;
    this.#isDone = true;
  }

  /** Without putting the whole answer together. */
  get error(): AnswerError | null {
    return this.#error;
  }

  get answer(): Answer {
    return {
      item: {
        role: 'assistant',
        text: this.#text.toWellFormed(),
        ...(this.#calls.size > 0 && { calls: Array.from(this.#calls.values(), (call) => ({ ...call })) }),
        ...(this.#reasoning !== '' && { reasoning: this.#reasoning.toWellFormed() }),
      },
      isWhole: this.#error === null && (this.#isDone || this.#finishReason !== null),
      error: this.#error,
      finishReason: this.#finishReason,
      ...(this.#stopSequence !== null && { stopSequence: this.#stopSequence }),
      usage: this.#usage,
      ids: this.#hasIds ? { prompt: this.#promptIds, output: this.#outputIds } : null,
      model: this.#model,
    };
  }

  #head(chunk: JsonObject): void {
    if (typeof chunk['model'] === 'string') this.#model = chunk['model'];
    if (chunk['prompt_token_ids']) this.#prompt(chunk['prompt_token_ids']);
    const first = objectOf(listOf(chunk['choices'])[0]);
    if (first?.['prompt_token_ids']) this.#prompt(first['prompt_token_ids']);
    this.#usage = usageOf(chunk['usage']) ?? this.#usage;
  }

  #prompt(ids: unknown): void {
    this.#promptIds = listOf(ids) as number[];
    this.#hasIds = this.#promptIds.length > 0;
  }

  #call(call: JsonObject): void {
    const at = countOf(call['index']) ?? this.#calls.size;
    const called = objectOf(call['function']) ?? {};
    const known = this.#calls.get(at) ?? { id: '', name: '', arguments: '' };
    this.#calls.set(at, known);
    known.id ||= textOf(call['id']) || `call_${at}`;
    known.name += textOf(called['name']);
    known.arguments += textOf(called['arguments']);
  }
}

export function usageOf(value: unknown): AnswerUsage | null {
  const usage = objectOf(value);
  if (!usage) return null;
  const promptTokens = countOf(usage['prompt_tokens']) ?? countOf(usage['input_tokens']);
  if (promptTokens === null) return null;
  const details = objectOf(usage['prompt_tokens_details']) ?? objectOf(usage['input_tokens_details']);
  const cachedTokens = countOf(details?.['cached_tokens']) ?? countOf(usage['cache_read_input_tokens']);
  return {
    promptTokens,
    // More than there were is no figure.
    cachedTokens: cachedTokens !== null && cachedTokens <= promptTokens ? cachedTokens : null,
    outputTokens: countOf(usage['completion_tokens']) ?? countOf(usage['output_tokens']) ?? 0,
  };
}
