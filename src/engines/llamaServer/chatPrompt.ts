import { commonPrefixLength } from '../../base/tokenIds.ts';
import type { ChatMessage } from '../../core/ports/engine.ts';
import type { Link, LinkRequest } from '../http/link.ts';
import { openAiMessages } from '../openAiMessages.ts';
import { isCwmError } from '../../protocol/errors.ts';
import { detokenizeSchema, templateSchema, tokenizeSchema } from './wire.ts';

/** Two continuations of a conversation that differ in their first token. */
const continuations = ['Yes, please.', '2 + 2'] as const;

/**
 * The exact ids that the server's chat template makes of these messages; it computes nothing.
 *
 * llama-server continues an answer that stands at the end, and so leaves it open. Where the caller wants it closed, the result is the
 * beginning of every next prompt: the ids that two different continuations have in common.
 */
export async function chatPromptIds(
  link: Link,
  messages: readonly ChatMessage[],
  addGenerationPrompt: boolean,
  signal: AbortSignal,
): Promise<readonly number[]> {
  if (addGenerationPrompt || messages.at(-1)?.role !== 'assistant') {
    return renderIds(link, messages, addGenerationPrompt, signal);
  }
  const [one, other] = await Promise.all(
    continuations.map((content) => renderIds(link, [...messages, { role: 'user', content }], false, signal)),
  );
  return one?.slice(0, commonPrefixLength(one, other ?? [])) ?? [];
}

async function renderIds(
  link: Link,
  messages: readonly ChatMessage[],
  addGenerationPrompt: boolean,
  signal: AbortSignal,
): Promise<readonly number[]> {
  const content = await renderText(link, messages, addGenerationPrompt, signal);
  return tokenize(link, { content, add_special: true, parse_special: true }, signal);
}

async function renderText(
  link: Link,
  messages: readonly ChatMessage[],
  addGenerationPrompt: boolean,
  signal: AbortSignal,
): Promise<string> {
  const body = { messages: openAiMessages(messages), add_generation_prompt: addGenerationPrompt };
  return (await link.json(post('/apply-template', body), templateSchema, signal)).value.prompt;
}

/** A prompt with pictures, in the form of llama-server: the text has a mark in the place of each. */
export interface PicturePrompt {
  readonly prompt_string: string;
  /** In base64, in the order of the marks. */
  readonly multimodal_data: readonly string[];
}

/** Null where the messages have no picture, so that ids are the prompt. */
export async function picturePrompt(
  link: Link,
  messages: readonly ChatMessage[],
  addGenerationPrompt: boolean,
  signal: AbortSignal,
): Promise<PicturePrompt | null> {
  const pictures = messages.flatMap(({ media = [] }) => media);
  if (pictures.length === 0) return null;
  return {
    prompt_string: await renderText(link, messages, addGenerationPrompt, signal),
    multimodal_data: pictures.map(({ data = '' }) => data),
  };
}

/**
 * The ids of an answer's text; what reads like a special token in it is text.
 *
 * @param once asks no second time after a failure.
 */
export const answerIds = (link: Link, text: string, signal: AbortSignal, once = false): Promise<readonly number[]> =>
  tokenize(link, { content: text, add_special: false, parse_special: false }, signal, once);

/**
 * The text of ids, special tokens included; null where the server does not tell it.
 *
 * @throws CwmError Cancelled, EngineUnavailable.
 */
export async function textOfIds(link: Link, ids: readonly number[], signal: AbortSignal): Promise<string | null> {
  try {
    return (await link.json(post('/detokenize', { tokens: ids }), detokenizeSchema, signal)).value.content;
  } catch (error) {
    if (!isCwmError(error) || isCwmError(error, 'Cancelled', 'EngineUnavailable')) throw error;
    return null;
  }
}

async function tokenize(link: Link, body: unknown, signal: AbortSignal, once = false): Promise<readonly number[]> {
  return (await link.json({ ...post('/tokenize', body), once }, tokenizeSchema, signal)).value.tokens;
}

const post = (path: string, body: unknown): LinkRequest => ({
  method: 'POST',
  path,
  body,
  patience: 'small',
  wrongAnswer: 'EngineFailed',
});
