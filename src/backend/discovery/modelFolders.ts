import { userDataDirectory, type UserPlaces } from '../../base/userDataDirectory.ts';

/** A folder in which a program stores the models that it loaded. */
export interface ModelFolder {
  readonly source: string;
  readonly path: string;
}

/** Where Ollama has its manifests and blobs, best first. */
export const ollamaFolders = ({ env, home, platform }: UserPlaces): string[] =>
  known([
    env['OLLAMA_MODELS'],
    below(home, '.ollama/models'),
    // Its service on Linux has a user of its own.
    platform === 'linux' ? '/usr/share/ollama/.ollama/models' : null,
  ]);

/** Where other programs have GGUF files under names that people know. A folder that is not there holds nothing. */
export function modelFolders(places: UserPlaces): ModelFolder[] {
  const { env, home } = places;
  const data = userDataDirectory(places);
  const config =
    places.platform === 'linux' ? env['XDG_CONFIG_HOME'] || below(home, '.config') : settingsFolder(places);
  const caches = places.platform === 'darwin' ? below(home, 'Library/Caches') : data;
  const cache = places.platform === 'linux' ? env['XDG_CACHE_HOME'] || below(home, '.cache') : caches;
  const hub = env['HF_HUB_CACHE'] || below(env['HF_HOME'] || below(home, '.cache/huggingface'), 'hub');
  const folders: Readonly<Record<string, readonly (string | null | undefined)[]>> = {
    'LM Studio': [below(home, '.lmstudio/models'), below(home, '.cache/lm-studio/models')],
    'Hugging Face': [hub],
    'llama.cpp': [env['LLAMA_CACHE'], below(cache, 'llama.cpp')],
    Jan: [below(config, 'Jan/data/llamacpp/models'), below(config, 'Jan/data/models'), below(home, 'jan/models')],
    GPT4All: [below(data, 'nomic.ai/GPT4All')],
  };
  return Object.entries(folders).flatMap(([source, paths]) => known(paths).map((path) => ({ source, path })));
}

const settingsFolder = ({ platform, env, home }: UserPlaces): string | null =>
  platform === 'win32' ? env['APPDATA'] || below(home, 'AppData/Roaming') : below(home, 'Library/Application Support');

const below = (folder: string | null | undefined, path: string): string | null => (folder ? `${folder}/${path}` : null);

const known = (paths: readonly (string | null | undefined)[]): string[] => [
  ...new Set(paths.filter((path): path is string => typeof path === 'string' && path !== '')),
];
