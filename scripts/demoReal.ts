// `npm run demo:real`: the main job on a real model. Installs Gemma 3 270M (520 MB, once), then does what
// `npm start -- --headless --model FILE` does; arguments are passed on, such as `--tokens 4096` or `--json`.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { engineRecipes } from '../test/engines/live/engineRecipe.ts';
import { gemmaModel } from '../test/engines/live/gemmaModel.ts';
import { installEngine } from '../test/engines/live/installEngine.ts';

const interrupted = new AbortController();
process.once('SIGINT', () => interrupted.abort());
await installEngine(engineRecipes.gemma, { signal: interrupted.signal, log: (line) => console.error(line) });
const start = path.join(import.meta.dirname, 'start.ts');
const args = [start, '--headless', '--model', gemmaModel(), ...process.argv.slice(2)];
process.exitCode = spawnSync(process.execPath, args, { stdio: 'inherit' }).status ?? 1;
