import type { ChatMessage, GenerateRequest, Generation } from '../../../core/ports/engine.ts';
import { idsAgree } from '../../idsAgree.ts';
import { isCwmError } from '../../../protocol/errors.ts';
import type { Link } from '../../http/link.ts';
import { wireMessages } from '../../toolCalls/wireMessages.ts';
import { detokenizeSchema, tokenizeSchema } from '../wire.ts';

/** The ids of these messages under the server's chat template. The server computes nothing for it, and vLLM needs no API key. */
export async function tokenizeChat(
  link: Link,
  model: string,
  messages: readonly ChatMessage[],
  addGenerationPrompt: boolean,
  signal: AbortSignal,
): Promise<readonly number[]> {
  return ask(link, { model, messages: wireMessages(messages), add_generation_prompt: addGenerationPrompt }, signal);
}

/**
 * The ids of a piece of text inside a prompt, so without a beginning-of-text token.
 *
 * @param once does not try again after a failure.
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
 * The text of ids, special tokens included; null when the server does not give it.
 *
 * @throws CwmError Cancelled, EngineUnavailable.
 */
export async function detokenizeIds(
  link: Link,
  model: string,
  ids: readonly number[],
  signal: AbortSignal,
): Promise<string | null> {
  const body = { model, tokens: ids };
  const request = {
    method: 'POST',
    path: '/detokenize',
    body,
    patience: 'small',
    wrongAnswer: 'EngineFailed',
  } as const;
  try {
    return (await link.json(request, detokenizeSchema, signal)).value.prompt;
  } catch (error) {
    if (!isCwmError(error) || isCwmError(error, 'Cancelled', 'EngineUnavailable')) throw error;
    return null;
  }
}

export interface AnsweredIds {
  readonly text: string;
  readonly reasoning: string;
  readonly promptIds: readonly number[] | null;
  /** The engine is the client's own: its ids need no check against the text. */
  readonly isOwn: boolean;
  /** Null also where some are missing. */
  readonly outputIds: readonly number[] | null;
  /** The server's own count of the prompt's tokens; null when it tells none. */
  readonly countedPromptTokens: number | null;
}

/**
 * The ids of a chat: those that the server returned, where they are the ids of the answer's text. A second call works out ids that it left
 * out or that belong to another text. They stay empty on a server without a usable `/tokenize`, and where the server counts another number
 * of tokens than its tokenizer gives: those ids are not the computed ones. Ids serve evidence, so that a failure to get them does not cost
 * the answer.
 *
 * @throws CwmError Cancelled.
 */
export async function completeIds(
  link: Link,
  model: string,
  request: Pick<GenerateRequest, 'messages' | 'addGenerationPrompt'>,
  answer: AnsweredIds,
  signal: AbortSignal,
): Promise<
  Pick<Generation, 'promptIds' | 'outputIds' | 'idsSource'> & { readonly tokenized: readonly number[] | null }
> {
  const { text, promptIds, countedPromptTokens: counted } = answer;
  const outputIds =
    answer.outputIds && (answer.isOwn || (await hasText(link, model, answer.outputIds, answer, signal)))
      ? answer.outputIds
      : null;
  const isCounted = (ids: readonly number[]): boolean => counted === null || ids.length === counted;
  if (promptIds && outputIds) {
    return { promptIds, outputIds, idsSource: isCounted(promptIds) ? 'engine' : 'tokenize', tokenized: promptIds };
  }
  let prompt = promptIds;
  try {
    prompt ??= await tokenizeChat(link, model, request.messages, request.addGenerationPrompt, signal);
    const output = outputIds ?? (await tokenizeText(link, model, text, signal));
    if (isCounted(prompt)) return { promptIds: prompt, outputIds: output, idsSource: 'tokenize', tokenized: prompt };
  } catch (error) {
    if (signal.aborted || !isCwmError(error) || isCwmError(error, 'Cancelled')) throw error;
  }
  return { promptIds: [], outputIds: [], idsSource: 'tokenize', tokenized: prompt };
}

/** Whether these ids are those of the answer, as far as the server shows. True for a server that shows nothing. */
async function hasText(
  link: Link,
  model: string,
  ids: readonly number[],
  answer: Pick<AnsweredIds, 'text' | 'reasoning'>,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    return idsAgree(await detokenizeIds(link, model, ids, signal), answer);
  } catch (error) {
    if (signal.aborted || !isCwmError(error) || isCwmError(error, 'Cancelled')) throw error;
    return true;
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
