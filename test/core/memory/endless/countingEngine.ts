import { commonPrefixLength } from '../../../../src/base/tokenIds.ts';
import type { ChatMessage, GenerateRequest, Generation, OnPiece } from '../../../../src/core/ports/engine.ts';
import { CwmError } from '../../../../src/protocol/errors.ts';
import type { ToolCall } from '../../../../src/protocol/schemas/toolCall.ts';

/** What the model says to a prompt, of which it sees the text alone. */
export type Model = (prompt: string) => { readonly text: string } | { readonly call: Omit<ToolCall, 'id'> };

export interface Counted {
  readonly kind: 'answer' | 'summary';
  readonly sent: number;
  readonly reused: number;
  /** Prompt, tools and the answer's budget. */
  readonly needed: number;
  /** Messages of the request, those in front of the conversation among them. */
  readonly messages: number;
}

const [opens, closes] = [1, 2];

/** An engine that computes nothing: four characters are a token, and it reuses what a prompt has in common with the last prompt and its answer. */
export class CountingEngine {
  readonly spec = 'http://counting';
  readonly counted: Counted[] = [];
  maxModelLen: number;
  readonly #model: Model;
  readonly #tokens = new Map<string, number>();
  readonly #texts: string[] = ['', '\n', '\n'];
  #last: readonly number[] = [];

  constructor(maxModelLen: number, model: Model) {
    this.maxModelLen = maxModelLen;
    this.#model = model;
  }

  async describe() {
    const model = { id: 'counting', root: null, maxModelLen: this.maxModelLen, fingerprint: null };
    return {
      kind: 'vllm',
      version: '1',
      model,
      blockTokens: 1,
      hashProfile: null,
      isUntried: false,
      takesTokenIds: true,
      notices: [],
    };
  }

  async tokenize(messages: readonly ChatMessage[], addGenerationPrompt: boolean): Promise<number[]> {
    return [
      ...messages.flatMap((message) => this.#idsOf(message)),
      ...(addGenerationPrompt ? this.#opening('assistant') : []),
    ];
  }

  async detokenize(ids: readonly number[]): Promise<string> {
    return ids.map((id) => this.#texts[id] ?? '').join('');
  }

  async generate(request: GenerateRequest, onPiece: OnPiece): Promise<Generation> {
    const { messages, maxTokens, addGenerationPrompt, tools = [] } = request;
    // Tools stand at the very beginning, as templates list them.
    const listed = tools.length === 0 ? [] : this.#idsOf({ role: 'system', content: JSON.stringify(tools) });
    const promptIds = request.promptIds ?? [...listed, ...(await this.tokenize(messages, addGenerationPrompt))];
    const sent = promptIds.length;
    const reused = Math.min(commonPrefixLength(this.#last, promptIds), sent - 1);
    const isSummary = messages.at(-1)?.content.startsWith('Summarise our conversation') === true;
    const kind = isSummary ? 'summary' : 'answer';
    this.counted.push({ kind, sent, reused, needed: sent + maxTokens, messages: messages.length });
    if (sent + maxTokens > this.maxModelLen)
      throw new CwmError('ContextTooLong', `The engine refuses ${sent} tokens and an answer of ${maxTokens}.`);
    const said = isSummary
      ? { text: 'The two spoke of parsers, caches and tokens, one paragraph after the other.' }
      : this.#model(await this.detokenize(promptIds));
    const isCall = 'call' in said;
    const text = isCall ? '' : said.text;
    const toolCalls = isCall ? [{ ...said.call, id: `call-${this.counted.length}` }] : undefined;
    const outputIds = [...this.#split(toolCalls ? JSON.stringify(toolCalls) : text), closes];
    onPiece({ promptIds });
    onPiece(toolCalls ? { toolCall: JSON.stringify(toolCalls) } : { text, ids: outputIds });
    this.#last = [...promptIds, ...outputIds];
    return {
      text,
      ...(toolCalls && { toolCalls }),
      promptIds,
      outputIds,
      idsSource: 'engine',
      finishReason: isCall ? 'tool_calls' : 'stop',
      reuse: {
        promptTokens: sent,
        cachedTokens: reused,
        cachedTokensFrom: 'usage',
        tier: null,
        timeToFirstTokenMs: null,
        serverIdle: true,
        counters: {},
      },
    };
  }

  async close(): Promise<void> {}

  #idsOf({ role, content, toolCalls }: ChatMessage): number[] {
    return [...this.#opening(role), ...this.#split(toolCalls ? content + JSON.stringify(toolCalls) : content), closes];
  }

  #opening(role: string): number[] {
    return [opens, this.#idOf(`${role}\n`)];
  }

  #split(text: string): number[] {
    return (text.match(/[^]{1,4}/g) ?? []).map((part) => this.#idOf(part));
  }

  #idOf(text: string): number {
    const known = this.#tokens.get(text);
    if (known !== undefined) return known;
    const id = this.#texts.push(text) - 1;
    this.#tokens.set(text, id);
    return id;
  }
}
