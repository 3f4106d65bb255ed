import type { GbnfJsonObjectSchema } from 'node-llama-cpp';

type Fields = Readonly<Record<string, unknown>>;

/** Any JSON value. */
const anything = {
  oneOf: [
    ...(['string', 'number', 'boolean', 'null'] as const).map((type) => ({ type })),
    { type: 'object', additionalProperties: true },
    { type: 'array' },
  ],
} as const;

/** Deeper than any schema of a tool; one that refers to itself ends here. */
const mostDepth = 24;

/**
 * A JSON schema in the terms from which node-llama-cpp makes a grammar. It knows fewer: what it cannot express is any value there, so that the
 * grammar never forbids what the schema allows, with one exception: every named property is written, also those that may be left out.
 */
export const gbnfSchema = (schema: unknown): GbnfJsonObjectSchema =>
  // One of the forms of its union, each of which it takes.
  converted(schema, schema as Fields, 0) as GbnfJsonObjectSchema;

function converted(schema: unknown, root: Fields, depth: number): object {
  if (typeof schema !== 'object' || schema === null || depth > mostDepth) return anything;
  const fields = schema as Fields;
  const inner = (each: unknown): object => converted(each, root, depth + 1);
  if (typeof fields['$ref'] === 'string') return inner(referred(fields['$ref'], root));
  if (isPlain(fields['const'])) return { const: fields['const'] };
  const { enum: values } = fields;
  if (Array.isArray(values) && values.length > 0 && values.every(isPlain)) return { enum: values };
  const choices = fields['oneOf'] ?? fields['anyOf'];
  if (Array.isArray(choices) && choices.length > 0) return { oneOf: choices.map(inner) };
  const type = fields['type'] ?? (fields['properties'] === undefined ? undefined : 'object');
  if (Array.isArray(type)) return { oneOf: type.map((one) => inner({ ...fields, type: one })) };
  switch (type) {
    case 'object':
      return objectOf(fields, inner);
    case 'array':
      return {
        type,
        ...(fields['items'] !== undefined && { items: inner(fields['items']) }),
        ...counts(fields, 'Items'),
      };
    case 'string':
      return { type, ...counts(fields, 'Length') };
    case 'number':
    case 'integer':
    case 'boolean':
    case 'null':
      return { type };
    default:
      return anything;
  }
}

function objectOf({ properties, additionalProperties }: Fields, inner: (schema: unknown) => object): object {
  const named = Object.entries((properties ?? {}) as Fields).map(([name, schema]) => [name, inner(schema)] as const);
  if (named.length > 0) return { type: 'object', properties: Object.fromEntries(named) };
  if (additionalProperties === false) return { type: 'object', properties: {} };
  const value = typeof additionalProperties === 'object' && additionalProperties ? inner(additionalProperties) : true;
  return { type: 'object', additionalProperties: value };
}

function counts(fields: Fields, of: 'Items' | 'Length'): object {
  const limits = [`min${of}`, `max${of}`].map((name) => [name, fields[name]]);
  return Object.fromEntries(limits.filter(([, limit]) => Number.isInteger(limit)));
}

/** What `#/$defs/NAME` stands for. */
function referred(path: string, root: Fields): unknown {
  const steps = path.startsWith('#/') ? path.slice(2).split('/') : [];
  return steps.reduce<unknown>((found, step) => (found as Fields | undefined)?.[step.replaceAll('~1', '/')], root);
}

const isPlain = (value: unknown): boolean => value === null || ['string', 'number', 'boolean'].includes(typeof value);
