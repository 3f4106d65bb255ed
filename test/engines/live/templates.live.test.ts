import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { renderWith, testsOfTemplate } from '../toolCalls/familyTemplates.ts';
import { engineFolder, engineRecipes, templatesFile } from './engineRecipe.ts';
import { installedPython } from './installEngine.ts';

/** A template as it was published. */
function published(name: string): string {
  const recipe = engineRecipes['chat-templates'];
  if (!installedPython(recipe))
    throw new Error('The chat templates are not installed. Run: npm run engines:install chat-templates');
  const known = JSON.parse(readFileSync(join(engineFolder(recipe), templatesFile), 'utf8')) as Record<string, string>;
  const source = known[name];
  if (source === undefined) throw new Error(`There is no template ${name}.`);
  return source;
}

const families = [
  ['Qwen 2.5, and Hermes', 'qwen_25', true],
  ['Llama 3.1', 'llama31_template', false],
  ['Mistral (v3, tekken)', 'mistral_v3_tekken', true],
  ['Gemma 4', 'gemma4_template', true],
  ['gpt-oss', 'gptoss_template', false],
] as const;

describe.each(families)('S4-14 the published template of %s', (_, name, several) => {
  testsOfTemplate(() => published(name), { several });
});

// Their authors gave them no place for tools.
test.each(['gemma3_template', 'mistral_v7_tekken', 'llama3'])(
  'S4-14 the published template %s takes no tools, and says so',
  (name) => {
    expect(() => renderWith(published(name), [{ role: 'user', content: 'Hi.' }], true)).toThrow('takes no tools');
  },
);
