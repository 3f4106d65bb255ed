import type { StandardSchemaWithJSON } from '@modelcontextprotocol/server';
// By itself: the index would bring fifty languages.
import english from 'zod/v4/locales/en.js';
import * as z from 'zod/mini';
import { CwmError } from '../protocol/errors.ts';

/**
 * Shows a schema to clients and takes every value: {@link parseInput} checks it, so that a wrong one is refused with our code and not in
 * the words of the package.
 */
export function shown(schema: z.ZodMiniType, io: 'input' | 'output'): StandardSchemaWithJSON {
  let converted: Record<string, unknown> | undefined;
  const convert = (): Record<string, unknown> =>
    (converted ??= { ...z.toJSONSchema(schema, { io, target: 'draft-2020-12' }) });
  return {
    '~standard': {
      version: 1,
      vendor: 'cwm',
      validate: (value) => ({ value }),
      jsonSchema: { input: convert, output: convert },
    },
  };
}

const inEnglish = english().localeError;

/** @throws CwmError InvalidParameter, which names the first field that is wrong. */
export function parseInput<Schema extends z.ZodMiniType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value, { error: inEnglish });
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const field = issue?.path.map(String).join('.') ?? '';
  const what = issue?.message ?? 'Invalid input';
  throw new CwmError('InvalidParameter', field === '' ? `${what}.` : `"${field}": ${what}.`);
}
