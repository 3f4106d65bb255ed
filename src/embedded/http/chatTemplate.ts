import { Template } from '@huggingface/jinja';
import type { ModelInfo } from '../worker/workerProtocol.ts';
import { ApiError } from './apiError.ts';
import type { ChatMessage, TemplateFields } from './requests.ts';

/** Renders chats with the template that came with the model. */
export class ChatTemplate {
  readonly #info: ModelInfo;
  #template: Template | null = null;

  constructor(info: ModelInfo) {
    this.#info = info;
  }

  /** @throws ApiError 400 when the model has no template, or the template refuses these messages. */
  render(request: TemplateFields): string {
    if (this.#info.chatTemplate === null) {
      throw new ApiError(400, 'This model has no chat template: use /v1/completions.');
    }
    if (request.continue_final_message === true) {
      throw new ApiError(400, '`continue_final_message` is not supported by this engine.');
    }
    if ((request.chat_template ?? null) !== null) {
      throw new ApiError(400, "Only the model's own chat template is used.");
    }
    try {
      this.#template ??= new Template(this.#info.chatTemplate);
      return this.#template.render({
        bos_token: this.#info.bosText,
        eos_token: this.#info.eosText,
        ...request.chat_template_kwargs,
        ...(request.tools ? { tools: request.tools } : {}),
        messages: request.messages.map(withPlainContent),
        add_generation_prompt: request.add_generation_prompt ?? true,
      });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new ApiError(400, `The chat template can't render these messages: ${reason}`);
    }
  }
}

/** Text parts become one text. @throws ApiError 400 for parts that are no text. */
function withPlainContent(message: ChatMessage): object {
  const { content } = message;
  if (!Array.isArray(content)) return { ...message, content: content ?? '' };
  const texts = content.map(({ type, text }) => {
    if (type !== 'text' || typeof text !== 'string')
      throw new ApiError(400, `Content of type "${type}" is not supported.`);
    return text;
  });
  return { ...message, content: texts.join('\n') };
}
