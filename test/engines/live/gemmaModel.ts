import { join } from 'node:path';
import { engineFolder, engineRecipes, gemmaFile } from './engineRecipe.ts';
import { installedPython } from './installEngine.ts';

/** The real model's GGUF file. @throws an Error that says what to do when it is not installed. */
export function gemmaModel(): string {
  if (!installedPython(engineRecipes.gemma)) {
    throw new Error('Gemma 3 270M is not installed. Run: npm run engines:install gemma');
  }
  return join(engineFolder(engineRecipes.gemma), gemmaFile);
}
