// Makes docs/openapi.json from the routes and their schemas: `node scripts/openApi.ts` writes it, and a test fails while it is out of date.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { format } from 'oxfmt';
import { openApiDocument } from '../src/backend/openApi/openApiDocument.ts';

export const openApiFile = path.join(import.meta.dirname, '../docs/openapi.json');

/** The whole file, formatted. */
export async function openApiText(): Promise<string> {
  const { code } = await format('openapi.json', JSON.stringify(openApiDocument(), null, 2), { printWidth: 120 });
  return code;
}

if (import.meta.main) writeFileSync(openApiFile, await openApiText());
