import type { ChosenTemplate } from '../model/chooseTemplate.ts';
import type { ModelInfo } from '../worker/workerProtocol.ts';
import { ApiError } from './apiError.ts';
import type { TemplateFields } from './requests.ts';
import { oneCallEach, withPlainContent, withReadArguments } from './templateMessages.ts';

/** Renders chats. */
export class ChatTemplate {
  readonly #info: ModelInfo;
  readonly #chosen: ChosenTemplate;

  constructor(info: ModelInfo, chosen: ChosenTemplate) {
    this.#info = info;
    this.#chosen = chosen;
  }

  /** @throws ApiError 400 when the template refuses these messages. */
  render(request: TemplateFields): string {
    if (request.continue_final_message === true) {
      throw new ApiError(400, '`continue_final_message` is not supported by this engine.');
    }
    if ((request.chat_template ?? null) !== null) {
      throw new ApiError(400, "Only the model's own chat template is used.");
    }
    const messages = request.messages.map(withPlainContent).map(withReadArguments);
    const render = (more: object, given: readonly object[] = messages): string =>
      this.#chosen.template.render({
        bos_token: this.#info.bosText,
        eos_token: this.#info.eosText,
        ...request.chat_template_kwargs,
        ...more,
        messages: given,
        add_generation_prompt: request.add_generation_prompt ?? true,
      });
    try {
      const { tools } = request;
      const whole = (more: object): string => {
        try {
          return render(more);
        } catch (error) {
          const split = oneCallEach(messages);
          if (split.length === messages.length) throw error;
          return render(more, split);
        }
      };
      if (!tools || tools.length === 0) return whole({});
      const text = whole({ tools });
      // A template that has no place for tools leaves them out without a word.
      if (text === whole({}))
        throw new ApiError(400, "This model's chat template takes no tools, so the model cannot call any.");
      return text;
    } catch (error) {
      if (error instanceof ApiError) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw new ApiError(400, `The chat template cannot render these messages: ${reason}`);
    }
  }
}
