import { AjvJsonSchemaValidator } from '@modelcontextprotocol/sdk/validation/ajv';
import type { ToolDefinition } from '../../core/ports/tools.ts';
import type { JsonObject } from '../../protocol/schemas/tracker.ts';

type Check = (given: JsonObject) => string | null;

/**
 * Holds what a model gives a tool against the tool's schema. Engines make a call follow it only where the answer must be one, and some
 * servers take whatever comes.
 */
export class ArgumentsCheck {
  /** By their schemas, which are other objects when a server lists its tools again. */
  readonly #checks = new WeakMap<object, Check>();

  /** What does not fit, in plain words; null where all does, and where the schema is none. */
  problemOf({ inputSchema }: ToolDefinition, given: JsonObject): string | null {
    const known = this.#checks.get(inputSchema) ?? checkOf(inputSchema);
    this.#checks.set(inputSchema, known);
    return known(given);
  }
}

function checkOf(schema: JsonObject): Check {
  try {
    // One of its own for each: schemas of two servers may have one id.
    const { $id: _, ...anonymous } = schema;
    const validate = new AjvJsonSchemaValidator().getValidator(anonymous);
    return (given) => validate(given).errorMessage ?? null;
  } catch {
    // The server knows its own tools.
    return () => null;
  }
}
