// Writes what VS Code's agents read of the tools into package.json, from the tools' own table. `node scripts/chatTools.ts`
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import * as z from 'zod/mini';
import { agentTools, agentToolShapes } from '../src/agent/agentTools.ts';
import { mainToolNames } from '../src/agent/toolNames.ts';
import { chatToolName } from '../src/vscode/contributions.ts';

/** `contributes.languageModelTools` as the tables say it. */
export function languageModelTools(): object[] {
  const shapes = agentToolShapes();
  return mainToolNames.map((name) => {
    const { title, description } = agentTools[name];
    const { $schema: _, ...inputSchema } = z.toJSONSchema(shapes[name].input, { io: 'input' });
    return {
      name: chatToolName(name),
      displayName: title,
      modelDescription: description,
      userDescription: description,
      toolReferenceName: name.replaceAll(/_(\w)/g, (_match, letter: string) => letter.toUpperCase()),
      canBeReferencedInPrompt: true,
      when: 'config.cwm.chatTools == extension',
      inputSchema: JSON.parse(JSON.stringify(inputSchema)) as object,
    };
  });
}

if (process.argv[1] === import.meta.filename) {
  const file = path.join(import.meta.dirname, '../package.json');
  const manifest = JSON.parse(readFileSync(file, 'utf8')) as { contributes: { languageModelTools?: object[] } };
  manifest.contributes.languageModelTools = languageModelTools();
  writeFileSync(file, `${JSON.stringify(manifest, null, 2)}\n`);
}
