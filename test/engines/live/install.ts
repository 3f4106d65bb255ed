/**
 * `npm run engines:install [gemma] [minilm] [chat-templates] [llama-server] [vllm] [lmcache]`: the real models and the real model servers for the live
 * tests, all when none is named.
 */
import { engineRecipes, type EngineName } from './engineRecipe.ts';
import { installEngine, NoBuilds } from './installEngine.ts';

const names = Object.keys(engineRecipes) as EngineName[];
const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !names.some((known) => known === name));
if (unknown.length > 0) {
  console.error(`There is no engine called ${unknown.join(', ')}. Known: ${names.join(', ')}.`);
  process.exit(2);
}
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());
try {
  for (const name of names.filter((name) => asked.length === 0 || asked.includes(name))) {
    try {
      await installEngine(engineRecipes[name], { signal: interrupted.signal, log: (line) => console.log(line) });
    } catch (error) {
      if (!(error instanceof NoBuilds) || asked.length > 0) throw error;
      console.log(`${name} is left out. ${error.message}`);
    }
  }
} catch (error) {
  console.error(interrupted.signal.aborted ? 'Interrupted. The next run begins again.' : (error as Error).message);
  process.exitCode = 1;
}
