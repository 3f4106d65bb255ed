import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe } from 'vitest';
import { testsOfTemplate } from './familyTemplates.ts';

/**
 * Small templates that write what the published ones of five families write, refusals included: Qwen2.5-Instruct and Hermes 3, Llama 3.1,
 * Mistral-Nemo, Gemma 4, and gpt-oss. `templates.live.test.ts` has the published ones.
 */
const families = [
  ['hermes', true],
  ['llama3', false],
  ['mistral', true],
  ['gemma', true],
  ['gptOss', false],
] as const;

describe.each(families)('S4-14 the template of %s', (family, several) => {
  testsOfTemplate(() => readFileSync(join(import.meta.dirname, 'templates', `${family}.jinja`), 'utf8'), { several });
});
