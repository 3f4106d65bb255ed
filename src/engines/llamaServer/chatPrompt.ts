import { commonPrefixLength } from '../../base/tokenIds.ts';
import type { ChatMessage } from '../../core/ports/engine.ts';
import type { Link } from '../http/link.ts';
import { openAiMessages } from '../../core/ports/openAiMessages.ts';
import type { PromptTokens } from './promptTokens.ts';
import { post } from './tokenizing.ts';
import { templateSchema } from './wire.ts';

/** Two continuations of a conversation that differ in their first token. */
const continuations = ['Yes, please.', '2 + 2'] as const;

interface Renderer {
  readonly link: Link;
  readonly prompts: PromptTokens;
}

/**
 * The exact ids that the server's chat template makes of these messages; it computes nothing.
 *
 * llama-server continues an answer that stands at the end, and so leaves it open. Where the caller wants it closed, the result is the
 * beginning of every next prompt: the ids that two different continuations have in common.
 */
export async function chatPromptIds(
  { link, prompts }: Renderer,
  messages: readonly ChatMessage[],
  addGenerationPrompt: boolean,
  signal: AbortSignal,
): Promise<readonly number[]> {
  const idsOf = async (rendered: readonly ChatMessage[], opens: boolean): Promise<readonly number[]> =>
    prompts.of(link, await renderText(link, rendered, opens, signal), signal);
  if (addGenerationPrompt || messages.at(-1)?.role !== 'assistant') return idsOf(messages, addGenerationPrompt);
  const [one, other] = await Promise.all(
    continuations.map((content) => idsOf([...messages, { role: 'user', content }], false)),
  );
  return one?.slice(0, commonPrefixLength(one, other ?? [])) ?? [];
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
