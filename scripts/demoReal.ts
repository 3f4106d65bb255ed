// `npm run demo:real`: the main job on a real model. Installs Gemma 3 270M (520 MB, once), then does what
// `npm start -- --headless --model FILE` does, over a story that no model knows; arguments are passed on, such as `--json`.
//
// The model was not made for conversations: it continues a text. So it gets the story as one running text, and then the beginning of a
// sentence of it. The same beginning without the story shows what the answer owes to the context.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { engineRecipes } from '../test/engines/live/engineRecipe.ts';
import { gemmaModel } from '../test/engines/live/gemmaModel.ts';
import { installEngine } from '../test/engines/live/installEngine.ts';

const interrupted = new AbortController();
process.once('SIGINT', () => interrupted.abort());
await installEngine(engineRecipes.gemma, { signal: interrupted.signal, log: (line) => console.error(line) });
const demo = (name: string): string => path.join(import.meta.dirname, 'demo', name);
const args = [
  path.join(import.meta.dirname, 'start.ts'),
  '--headless',
  '--model',
  gemmaModel(),
  '--chat-template',
  demo('plain.jinja'),
  '--context',
  demo('lighthouse.md'),
  '--tokens',
  '736',
  '--question',
  'The lamp of the lighthouse is green. It was white until',
  ...process.argv.slice(2),
];
process.exitCode = spawnSync(process.execPath, args, { stdio: 'inherit' }).status ?? 1;
