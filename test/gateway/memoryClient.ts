import { expect } from 'vitest';
import type { ToolCall } from '../../src/protocol/schemas/toolCall.ts';
import type { GatewayFixture } from './gatewayFixture.ts';

const limit = 6_144;
export const user = (content: string): object => ({ role: 'user', content });
export const call = (id: string, name: string, given: object): ToolCall => ({
  id,
  name,
  arguments: JSON.stringify(given),
});
const weather = {
  type: 'function',
  function: { name: 'weather', description: 'Tells the weather.', parameters: { type: 'object' } },
};
export const decision = 'We decided: the service is called heron.';

interface ChatBody {
  readonly choices: readonly {
    readonly finish_reason: string;
    readonly message: { readonly content: string; readonly tool_calls?: readonly (object & { id: string })[] };
  }[];
  readonly usage: { readonly prompt_tokens: number };
}

/** A client of the gateway that talks to the model with memory, and sends all that it knows each time. */
export class MemoryClient {
  readonly gateway: GatewayFixture;
  readonly messages: object[] = [];
  /** Of each request, besides its messages. */
  headers: Record<string, string> = {};

  constructor(gateway: GatewayFixture) {
    this.gateway = gateway;
    gateway.engine.model = { ...gateway.engine.model, maxModelLen: limit };
  }

  async ask(...added: object[]): Promise<ChatBody> {
    this.messages.push(...added);
    return this.again();
  }

  /** The same request once more. */
  async again(): Promise<ChatBody> {
    const answer = await this.post({ messages: this.messages });
    expect(answer.status).toBe(200);
    const body = (await answer.json()) as ChatBody;
    this.messages.push(body.choices[0]!.message);
    return body;
  }

  post(more: object, path = '/v1/chat/completions'): Promise<Response> {
    return this.gateway.post(
      path,
      { model: 'fake-model+memory', max_tokens: 32, tools: [weather], ...more },
      this.headers,
    );
  }

  /** The first message leaves the prompt. */
  async talk(turns = 10): Promise<void> {
    await this.ask(user(decision));
    for (let turn = 0; turn < turns; turn++) await this.ask(user(`Turn ${turn}: ${'filler '.repeat(100)}`));
    const [{ session } = { session: null }] = await this.gateway.sessions();
    expect((await this.gateway.cwm.memoryState({ session: session!.id })).segments.length).toBeGreaterThan(0);
  }
}
