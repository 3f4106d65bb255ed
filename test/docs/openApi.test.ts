import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { openApiFile, openApiText } from '../../scripts/openApi.ts';
import { openApiDocument } from '../../src/backend/openApi/openApiDocument.ts';
import { routes, type Route } from '../../src/protocol/api.ts';

interface Operation {
  readonly operationId: string;
  readonly responses: Readonly<Record<string, unknown>>;
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
}

const { paths } = openApiDocument() as unknown as { paths: Record<string, Record<string, Operation>> };
const operations = Object.values(paths).flatMap((path) => Object.values(path));

test('docs/openapi.json is the API (node scripts/openApi.ts makes it)', async () => {
  expect(readFileSync(openApiFile, 'utf8')).toBe(await openApiText());
});

test('the document has every route with its parameters, and nothing that is not there', () => {
  expect(operations.map(({ operationId }) => operationId).sort()).toEqual([...Object.keys(routes), 'events'].sort());
  for (const [name, { path }] of Object.entries<Route>(routes)) {
    const operation = operations.find(({ operationId }) => operationId === name);
    const inPath = operation?.parameters?.flatMap((each) => (each.in === 'path' ? each.name : [])) ?? [];
    expect(inPath, name).toEqual(Array.from(path.matchAll(/:(\w+)/g), ([, field]) => field));
  }
});

test('S4-30 what creates is 201, what has nothing to say 204, and what does not fit 409', () => {
  const statusesOf = (name: string): string[] =>
    Object.keys(operations.find(({ operationId }) => operationId === name)?.responses ?? {});
  expect(statusesOf('createSession')).toEqual(
    expect.arrayContaining(['201', '400', '401', '409', '413', '429', '500']),
  );
  expect(statusesOf('createSession')).not.toContain('200');
  expect(statusesOf('deleteSession')).toEqual(expect.arrayContaining(['200', '204', '404']));
  expect(statusesOf('deletePrompt')).toContain('204');
  expect(statusesOf('getSession')).not.toContain('409');
});
