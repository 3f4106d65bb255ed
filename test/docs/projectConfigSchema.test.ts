import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fromJSONSchema } from 'zod';
import * as z from 'zod/mini';
import { expect, test } from 'vitest';
import { projectConfigSchemaFile, projectConfigSchemaText } from '../../scripts/projectConfigSchema.ts';
import { projectConfigSchema } from '../../src/protocol/schemas/projectConfig.ts';

test('S2-09 schemas/projectConfig.json is the schema (node scripts/projectConfigSchema.ts makes it), and VS Code has it', async () => {
  const text = readFileSync(projectConfigSchemaFile, 'utf8');
  expect(text).toBe(await projectConfigSchemaText());
  const manifest = JSON.parse(readFileSync(path.join(import.meta.dirname, '../../package.json'), 'utf8')) as {
    contributes: { jsonValidation: { fileMatch: string; url: string }[] };
  };
  expect(manifest.contributes.jsonValidation).toEqual([
    { fileMatch: '**/.cwm/config.json', url: './schemas/projectConfig.json' },
  ]);
});

test('S2-09 an editor that goes by it takes what the backend takes, and marks what the backend refuses and what nothing reads', async () => {
  const published = fromJSONSchema(JSON.parse(await projectConfigSchemaText()) as Parameters<typeof fromJSONSchema>[0]);
  const isValid = (value: unknown): boolean => published.safeParse(value).success;
  const project = { name: 'x' };
  const good = [
    { version: '1.0', project },
    { version: '1.0', project, auto_switch: false, system_prompt: 'Be brief.' },
  ];
  const bad = [
    {},
    { version: '1', project },
    { version: '1.0', project: {} },
    { version: '1.0', project, engine: 'http://a#slots=/b' },
  ];
  for (const each of good)
    expect([isValid(each), z.safeParse(projectConfigSchema, each).success]).toEqual([true, true]);
  for (const each of bad)
    expect([isValid(each), z.safeParse(projectConfigSchema, each).success]).toEqual([false, false]);
  expect(isValid({ version: '1.0', project, auto_swich: true })).toBe(false);
});

test('each field has a description, which an editor shows beside it', async () => {
  const { properties } = JSON.parse(await projectConfigSchemaText()) as {
    properties: Record<string, { description?: string }>;
  };
  for (const [name, { description }] of Object.entries(properties)) expect(description, name).toMatch(/\.$/);
});
