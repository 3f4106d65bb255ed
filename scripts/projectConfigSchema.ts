// Makes schemas/projectConfig.json, which VS Code completes and checks `.cwm/config.json` by: `node scripts/projectConfigSchema.ts` writes it,
// and a test fails while it is out of date.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { format } from 'oxfmt';
import * as z from 'zod/mini';
import { projectConfigSchema } from '../src/protocol/schemas/projectConfig.ts';

export const projectConfigSchemaFile = path.join(import.meta.dirname, '../schemas/projectConfig.json');

/** The whole file, formatted. VS Code's editor for JSON knows draft 7 whole, and warns of fields that nothing reads. */
export async function projectConfigSchemaText(): Promise<string> {
  const schema = z.toJSONSchema(projectConfigSchema, {
    io: 'input',
    target: 'draft-7',
    override: ({ jsonSchema }) => {
      if (jsonSchema.type === 'object') jsonSchema.additionalProperties = false;
    },
  });
  const named = { ...schema, title: 'A project of Context Window Manager' };
  const { code } = await format('projectConfig.json', JSON.stringify(named, null, 2), { printWidth: 120 });
  return code;
}

if (import.meta.main) writeFileSync(projectConfigSchemaFile, await projectConfigSchemaText());
