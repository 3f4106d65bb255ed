import type { GenerateRequest } from '../../core/ports/engine.ts';
import type { ToolDefinition } from '../../core/ports/tools.ts';
import type { ToolCall } from '../../protocol/schemas/toolCall.ts';

/** Where a schema names arguments and does not speak of others, a model that must write a call would invent some. */
export function closedSchema(schema: ToolDefinition['inputSchema']): object {
  const { properties, additionalProperties } = schema;
  return properties === undefined || additionalProperties !== undefined
    ? schema
    : { ...schema, additionalProperties: false };
}

/**
 * @param isStrict has vLLM's grammar enforce the arguments' schemas; OpenAI's own servers ask more of such a schema than tools have. Default:
 *   false.
 */
export const wireTools = (
  tools: readonly ToolDefinition[] | undefined,
  isStrict = false,
): { readonly tools?: object[] } =>
  tools === undefined || tools.length === 0
    ? {}
    : {
        tools: tools.map(({ name, description, inputSchema }) => ({
          type: 'function',
          function: {
            name,
            description,
            parameters: closedSchema(inputSchema),
            ...(isStrict && { strict: true }),
          },
        })),
      };

/** Where the answer must be a call. The server then has the arguments follow their schema. */
export const wireToolChoice = ({
  tools = [],
  toolChoice = 'auto',
}: GenerateRequest): { readonly tool_choice?: unknown } =>
  tools.length === 0 || toolChoice === 'auto'
    ? {}
    : { tool_choice: toolChoice === 'required' ? toolChoice : { type: 'function', function: { name: toolChoice } } };

/** Collects the tool calls of an answer, whose pieces come one by one and in any order of calls. */
export class StreamedCalls {
  readonly #calls = new Map<number, { id: string; name: string; arguments: string }>();

  /**
   * @param value what the piece has as `tool_calls`, in any form; what is no call is ignored.
   * @returns what to show of it: names, and behind each its arguments.
   */
  push(value: unknown): string {
    if (!Array.isArray(value)) return '';
    let shown = '';
    for (const [place, each] of value.entries()) {
      const { index, id, function: called } = fieldsOf(each);
      const { name, arguments: given } = fieldsOf(called);
      if (called === undefined) continue;
      const at = typeof index === 'number' ? index : this.#placeOf(id, place);
      const known = this.#calls.get(at);
      const call = known ?? { id: '', name: '', arguments: '' };
      if (!known) {
        if (this.#calls.size > 0) shown += '\n';
        this.#calls.set(at, call);
      }
      if (typeof id === 'string' && id !== '') call.id = id;
      if (typeof name === 'string' && name !== '' && call.name !== name) {
        call.name += name;
        shown += `${name} `;
      }
      const piece =
        typeof given === 'string' ? given : given === undefined || given === null ? '' : JSON.stringify(given);
      call.arguments += piece;
      shown += piece;
    }
    return shown;
  }

  /** In the order in which they began. */
  get calls(): ToolCall[] {
    return [...this.#calls.values()];
  }

  /** Servers that give a call in one piece may number none. */
  #placeOf(id: unknown, place: number): number {
    if (typeof id !== 'string' || id === '') return place;
    const known = [...this.#calls].find(([, call]) => call.id === id);
    return known?.[0] ?? this.#calls.size;
  }
}

const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
