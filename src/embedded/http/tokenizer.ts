import { WorkerLostError } from '../worker/llamaProcess.ts';
import type { LlamaSupervisor } from '../worker/llamaSupervisor.ts';
import type { EngineModel } from '../engineModel.ts';
import type { OperationInput, OperationName, OperationOutput } from '../worker/workerProtocol.ts';
import { ApiError } from './apiError.ts';
import type { TokenTexts } from './logprobs.ts';

const maxAttempts = 3;

/** The model's tokenizer; it works while a request is being computed. */
export class Tokenizer {
  readonly #supervisor: LlamaSupervisor;
  readonly #model: EngineModel;

  constructor(supervisor: LlamaSupervisor, model: EngineModel) {
    this.#supervisor = supervisor;
    this.#model = model;
  }

  /** Text in which special tokens are read as such, with the model's first token where it wants one. */
  async prompt(text: string, addSpecialTokens: boolean): Promise<number[]> {
    const { prependBos, bosId } = this.#model.info;
    const ids = await this.chat(text);
    return addSpecialTokens && prependBos && bosId !== null ? [bosId, ...ids] : ids;
  }

  /** A rendered chat: its template has put in what must be there. */
  async chat(text: string): Promise<number[]> {
    return Array.from(await this.#call('tokenize', { text, specialTokens: true }));
  }

  /** One text for each list of ids. */
  async texts(lists: readonly (readonly number[])[], specialTokens: boolean): Promise<readonly string[]> {
    return this.#call('detokenize', { lists: lists.map((ids) => Uint32Array.from(ids)), specialTokens });
  }

  /** @throws ApiError 400 for ids that the model does not have. */
  async text(ids: readonly number[]): Promise<string> {
    const unknown = ids.find((id) => id >= this.#model.info.vocabularySize);
    if (unknown !== undefined) throw new ApiError(400, `Token id ${unknown} is out of vocabulary.`);
    const [text = ''] = await this.texts([ids], true);
    return text;
  }

  /** @param asIds name tokens as `token_id:N`, since two may read the same. */
  async tokenTexts(ids: readonly number[], asIds: boolean): Promise<TokenTexts> {
    if (asIds) return new Map(ids.map((id) => [id, `token_id:${id}`]));
    const texts = await this.texts(
      ids.map((id) => [id]),
      true,
    );
    return new Map(ids.map((id, index) => [id, texts[index] ?? '']));
  }

  /** Asks again when llama.cpp dies during the call: a tokenizer has no state to lose. */
  async #call<Name extends OperationName>(name: Name, input: OperationInput<Name>): Promise<OperationOutput<Name>> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await (await this.#supervisor.get()).call(name, input);
      } catch (error) {
        if (!(error instanceof WorkerLostError) || attempt === maxAttempts) throw error;
      }
    }
  }
}
