import type { ToolDefinition } from '../../core/ports/tools.ts';
import { closedSchema } from './toolWire.ts';

/**
 * The JSON schema of an answer that is one call of these tools, or of the named one.
 *
 * @param choice `required`, or a tool's name.
 */
export function callSchema(tools: readonly ToolDefinition[], choice: string): object {
  const calls = tools
    .filter(({ name }) => choice === 'required' || name === choice)
    .map(({ name, inputSchema }) => ({
      type: 'object',
      properties: { name: { const: name }, arguments: closedSchema(inputSchema) },
      required: ['name', 'arguments'],
      additionalProperties: false,
    }));
  const [only] = calls;
  return calls.length === 1 && only ? only : { anyOf: calls };
}
