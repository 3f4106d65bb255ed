import { commonPrefixLength } from '../../../base/tokenIds.ts';
import { base64In } from '../../../core/ports/openAiMessages.ts';
import type { MessagePart } from '../../../protocol/schemas/session.ts';
import type { AnsweredChat, ChatMessage, GenerateRequest } from '../../../core/ports/engine.ts';
import { CwmError } from '../../../protocol/errors.ts';
import type { Link } from '../../http/link.ts';
import { wireMessages } from '../../toolCalls/wireMessages.ts';
import { wireTools } from '../../toolCalls/toolWire.ts';
import { noToolsInTemplate } from '../serverIdentity.ts';
import type { PromptTokens } from './promptTokens.ts';
import { post } from './tokenizing.ts';
import { templateSchema } from '../wire.ts';

type Rendered = Pick<GenerateRequest, 'messages' | 'addGenerationPrompt' | 'tools'>;

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
  { messages, addGenerationPrompt, tools = [] }: Rendered,
  signal: AbortSignal,
): Promise<readonly number[]> {
  const idsOf = async (rendered: readonly ChatMessage[], opens: boolean): Promise<readonly number[]> => {
    const given = { messages: rendered, addGenerationPrompt: opens, tools };
    return prompts.of(link, await renderText(link, given, signal), signal);
  };
  if (addGenerationPrompt || messages.at(-1)?.role !== 'assistant') return idsOf(messages, addGenerationPrompt);
  const [one, other] = await Promise.all(
    continuations.map((content) => idsOf([...messages, { role: 'user', content }], false)),
  );
  return one?.slice(0, commonPrefixLength(one, other ?? [])) ?? [];
}

/** @throws CwmError EngineRejected where the template leaves the tools out without a word. */
async function renderText(
  link: Link,
  { messages, addGenerationPrompt, tools = [] }: Rendered,
  signal: AbortSignal,
): Promise<string> {
  const render = async (more: object): Promise<string> => {
    const body = { messages: wireMessages(messages), add_generation_prompt: addGenerationPrompt, ...more };
    return (await link.json(post('/apply-template', body), templateSchema, signal)).value.prompt;
  };
  if (tools.length === 0) return render({});
  const [text, without] = await Promise.all([render(wireTools(tools)), render({})]);
  if (text === without) throw new CwmError('EngineRejected', noToolsInTemplate);
  return text;
}

/** A prompt with pictures or sounds, in the form of llama-server: the text has a mark in the place of each. */
export interface PicturePrompt {
  readonly prompt_string: string;
  /** In base64, in the order of the marks. */
  readonly multimodal_data: readonly string[];
}

/**
 * Null where the messages have text alone, so that ids are the prompt.
 *
 * @throws CwmError EngineRejected for a part of which the server takes no bytes.
 */
export async function picturePrompt(
  link: Link,
  rendered: Rendered,
  signal: AbortSignal,
): Promise<PicturePrompt | null> {
  const data = rendered.messages.flatMap(({ media = [], parts = [] }) => [
    ...media.map(({ data: bytes = '' }) => bytes),
    ...parts.map(bytesOf),
  ]);
  if (data.length === 0) return null;
  return { prompt_string: await renderText(link, rendered, signal), multimodal_data: data };
}

/** In base64, which are all that its raw completion takes. */
function bytesOf({ type, part }: MessagePart): string {
  const base64 = type === 'image' || type === 'audio' ? base64In(part) : null;
  if (base64 !== null) return base64;
  throw new CwmError(
    'EngineRejected',
    `llama-server takes no ${type} of the conversation: it takes bytes of pictures and sounds.`,
    {
      hint: 'Send it as bytes (a data URL, or input_audio), or use a model server that takes it.',
    },
  );
}

/**
 * The ids with which every next prompt of a chat begins that another program asked the server for. It computes nothing. All fields of the program's
 * request are rendered, as in its next request.
 */
export async function nextChatIds(
  { link, prompts }: Renderer,
  { messages, answer, fields }: AnsweredChat,
  signal: AbortSignal,
): Promise<readonly number[]> {
  const { stream: _stream, ...rest } = fields;
  const idsOf = async (content: string): Promise<readonly number[]> => {
    const body = { ...rest, messages: [...messages, answer, { role: 'user', content }], add_generation_prompt: false };
    // A server that is gone is not waited for: until the turn is stored, the next one does not know that the KV is lost.
    const { value } = await link.json({ ...post('/apply-template', body), once: true }, templateSchema, signal);
    return prompts.of(link, value.prompt, signal);
  };
  // One after the other: the second one has nearly all ids of the first.
  const [one, other] = [await idsOf(continuations[0]), await idsOf(continuations[1])];
  return one.slice(0, commonPrefixLength(one, other));
}
