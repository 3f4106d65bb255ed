import type { ChosenTemplate } from '../model/chooseTemplate.ts';
import type { ModelInfo } from '../worker/workerProtocol.ts';
import { ApiError } from './apiError.ts';
import type { TemplateFields } from './requests.ts';
import { oneCallEach, withPlainContent, withReadArguments } from './templateMessages.ts';

/** Renders chats. */
export class ChatTemplate {
  readonly #info: ModelInfo;
  readonly #chosen: ChosenTemplate;
  #allCalls: boolean | undefined;

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
      const split = oneCallEach(messages);
      const whole = (more: object): string =>
        render(more, split.length === messages.length || this.#writesAllCalls(render) ? messages : split);
      if (!tools || tools.length === 0) return whole({});
      const text = whole({ tools });
      // A template that has no place for tools leaves them out without a word.
      if (text === whole({})) throw takesNone();
      return text;
    } catch (error) {
      if (error instanceof ApiError) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw new ApiError(400, `The chat template cannot render these messages: ${reason}`);
    }
  }

  /** What a chat begins with whose first message behind the system prompt is another one. @param rendered the whole chat. */
  sharedText(request: TemplateFields, rendered: string): string {
    const first = request.messages.findIndex(({ role }) => role !== 'system' && role !== 'developer');
    if (first === -1) return '';
    try {
      const other = this.render({ ...request, messages: [...request.messages.slice(0, first), otherMessage] });
      let at = 0;
      while (at < rendered.length && rendered[at] === other[at]) at++;
      return rendered.slice(0, at);
    } catch (error) {
      if (error instanceof ApiError) return '';
      throw error;
    }
  }

  /** Whether it lists tools; one that cannot be tried may. */
  get takesTools(): boolean {
    try {
      this.render({ messages: [{ role: 'user', content: 'Both.' }], tools: probeTools });
      return true;
    } catch (error) {
      return !(error instanceof ApiError && error.message === takesNone().message);
    }
  }

  /** Whether it writes every call of a message that has several: Llama 3's refuses them, and gpt-oss' writes the first one only, without a word. */
  #writesAllCalls(render: (more: object, messages: readonly object[]) => string): boolean {
    if (this.#allCalls === undefined) {
      try {
        this.#allCalls = render({ tools: probeTools }, probeMessages).includes(probeCalls[1]);
      } catch {
        this.#allCalls = false;
      }
    }
    return this.#allCalls;
  }
}

/** No message of a user begins like this. */
const otherMessage = { role: 'user', content: '\u{10FFFD}' };

const takesNone = (): ApiError =>
  new ApiError(400, "This model's chat template takes no tools, so the model cannot call any.");

const probeCalls = ['first_of_two', 'second_of_two'] as const;
const probeIds = ['callaaaaa', 'callbbbbb'] as const;
/** Two calls in one message, as any template would meet them. */
const probeMessages: readonly object[] = [
  { role: 'user', content: 'Both.' },
  {
    role: 'assistant',
    content: '',
    tool_calls: probeCalls.map((name, at) => ({
      id: probeIds[at],
      type: 'function',
      function: { name, arguments: {} },
    })),
  },
  ...probeIds.map((id) => ({ role: 'tool', content: 'Done.', tool_call_id: id })),
];
const probeTools = [
  {
    type: 'function',
    function: { name: 'other', description: 'Other.', parameters: { type: 'object', properties: {} } },
  },
];
