import * as z from 'zod/mini';
import { routes, type RouteName } from '../../protocol/api.ts';
import { shapes } from '../../protocol/routes/shapes.ts';
import { branchSummarySchema } from '../../protocol/schemas/branch.ts';
import { capabilitiesSchema } from '../../protocol/schemas/capabilities.ts';
import { engineStatusSchema } from '../../protocol/schemas/health.ts';
import { receiptSchema } from '../../protocol/schemas/receipt.ts';
import { contextTokensSchema, messageSchema, sessionSchema } from '../../protocol/schemas/session.ts';
import { sessionSettingsSchema } from '../../protocol/schemas/sessionSettings.ts';
import { jsonObjectSchema, recoveryPointSummarySchema, sessionStateSchema } from '../../protocol/schemas/tracker.ts';
import { sendResultSchema } from '../../protocol/schemas/turn.ts';
import { windowSummarySchema } from '../../protocol/schemas/window.ts';
import { inputField, type JsonSchema } from './inputFields.ts';

/** Schemas that many answers have, by the names that clients get for them. */
const shared: Readonly<Record<string, z.ZodMiniType>> = {
  Session: sessionSchema,
  SessionSettings: sessionSettingsSchema,
  BranchSummary: branchSummarySchema,
  ContextTokens: contextTokensSchema,
  Message: messageSchema,
  Turn: sendResultSchema,
  Receipt: receiptSchema,
  Window: windowSummarySchema,
  State: sessionStateSchema,
  RecoveryPoint: recoveryPointSummarySchema,
  Engine: engineStatusSchema,
  Capabilities: capabilitiesSchema,
};

const names = z.registry<{ id: string }>();
for (const [id, schema] of Object.entries(shared)) names.add(schema, { id });

const place = '#/components/schemas/';

/** Schemas of what goes in and out, and those that they refer to. */
export class JsonSchemas {
  readonly #components: Record<string, JsonSchema> = {};

  /** Those that the others refer to, so far. */
  get components(): Readonly<Record<string, JsonSchema>> {
    return Object.fromEntries(Object.entries(this.#components).sort(([one], [other]) => (one < other ? -1 : 1)));
  }

  output(name: RouteName): JsonSchema {
    return this.#convert(shapes[name].output, 'output');
  }

  /** The fields of a route's input, by name. */
  input(name: RouteName): {
    readonly fields: Readonly<Record<string, JsonSchema>>;
    readonly required: readonly string[];
  } {
    const { properties = {}, required = [] } = this.#convert(shapes[name].input, 'input') as {
      properties?: Record<string, JsonSchema>;
      required?: string[];
    };
    const isQuery = routes[name].method === 'GET' || routes[name].method === 'DELETE';
    const fields = Object.entries(properties).map(([field, schema]): [string, JsonSchema] => {
      return [field, narrowed(isQuery ? asText(schema) : schema, inputField(name, field))];
    });
    return { fields: Object.fromEntries(fields), required };
  }

  #convert(schema: z.ZodMiniType, io: 'input' | 'output'): JsonSchema {
    const {
      $schema: _,
      $defs = {},
      ...converted
    } = z.toJSONSchema(schema, {
      io,
      metadata: names,
      unrepresentable: 'any',
      override: ({ zodSchema, jsonSchema }) => {
        if (zodSchema === (jsonObjectSchema as unknown)) jsonSchema.type = 'object';
        // Clients ignore fields that they do not know: a later version may send more of them.
        delete jsonSchema.additionalProperties;
        delete jsonSchema.id;
        // Programs that read OpenAPI know no tuples of their own.
        const { prefixItems } = jsonSchema;
        if (Array.isArray(prefixItems)) {
          delete jsonSchema.prefixItems;
          const { length } = prefixItems;
          Object.assign(jsonSchema, { items: prefixItems[0] ?? {}, minItems: length, maxItems: length });
        }
      },
    }) as JsonSchema & { $defs?: Record<string, JsonSchema> };
    for (const [name, definition] of Object.entries($defs)) this.#components[name] ??= moved(definition);
    return moved(converted);
  }
}

/** In a query a number or a flag is written as text, which programs need not know. */
function asText(schema: JsonSchema): JsonSchema {
  if (Array.isArray(schema['anyOf'])) return { type: 'number' };
  return Array.isArray(schema['type']) ? { ...schema, type: 'boolean' } : schema;
}

/** Where a field may be null, the demand is on its other form. */
function narrowed(schema: JsonSchema, demand: JsonSchema): JsonSchema {
  if (Array.isArray(schema['anyOf'])) return schema;
  const isNullable = Array.isArray(schema['type']) && schema['type'].includes('null');
  const type = isNullable && demand['type'] !== undefined ? [demand['type'], 'null'] : demand['type'];
  return { ...schema, ...demand, ...(type !== undefined && { type }) };
}

/** With references into the document instead of the schema itself. */
function moved(schema: JsonSchema): JsonSchema {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/$defs/', `"${place}`)) as JsonSchema;
}
