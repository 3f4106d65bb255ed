import type { ChatMessage, GenerateRequest, Generation } from '../../core/ports/engine.ts';
import { isCwmError } from '../../protocol/errors.ts';
import type { Link } from '../http/link.ts';
import { tokenizeSchema } from './wire.ts';

/** What the server's chat template makes of these messages. It computes nothing, and needs no API key on vLLM. */
export async function tokenizeChat(
  link: Link,
  model: string,
  messages: readonly ChatMessage[],
  addGenerationPrompt: boolean,
  signal: AbortSignal,
): Promise<readonly number[]> {
  return ask(link, { model, messages, add_generation_prompt: addGenerationPrompt }, signal);
}

/**
 * The ids of a piece of text inside a prompt, so without a beginning-of-text token.
 *
 * @param once asks no second time after a failure.
 */
export async function tokenizeText(
  link: Link,
  model: string,
  text: string,
  signal: AbortSignal,
  once = false,
): Promise<readonly number[]> {
  return ask(link, { model, prompt: text, add_special_tokens: false }, signal, once);
}

/**
 * The ids of a chat: those the server returned, what it left out worked out by a second call. On a server that has no
 * `/tokenize` either, they stay empty.
 */
export async function completeIds(
  link: Link,
  model: string,
  request: GenerateRequest,
  answer: {
    readonly text: string;
    readonly promptIds: readonly number[] | null;
    readonly outputIds: readonly number[] | null;
  },
  signal: AbortSignal,
): Promise<Pick<Generation, 'promptIds' | 'outputIds' | 'idsSource'>> {
  const { text, promptIds, outputIds } = answer;
  if (promptIds && outputIds) return { promptIds, outputIds, idsSource: 'engine' };
  try {
    return {
      promptIds: promptIds ?? (await tokenizeChat(link, model, request.messages, request.addGenerationPrompt, signal)),
      outputIds: outputIds ?? (await tokenizeText(link, model, text, signal)),
      idsSource: 'tokenize',
    };
  } catch (error) {
    if (isCwmError(error, 'NotAnEngine', 'EngineRejected'))
      return { promptIds: [], outputIds: [], idsSource: 'tokenize' };
    throw error;
  }
}

async function ask(link: Link, body: unknown, signal: AbortSignal, once = false): Promise<readonly number[]> {
  const request = {
    method: 'POST',
    path: '/tokenize',
    body,
    patience: 'small',
    wrongAnswer: 'EngineFailed',
    once,
  } as const;
  return (await link.json(request, tokenizeSchema, signal)).value.tokens;
}
