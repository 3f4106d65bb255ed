import { createHash } from 'node:crypto';
import { cpSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { buildOnce } from '../engines/live/buildOnce.ts';
import { strangersFolder } from '../engines/live/cacheFolder.ts';
import { pipInstall, runLogged } from '../engines/live/loggedCommand.ts';
import { findPython, venvPython } from '../engines/live/python.ts';

const schemathesis = 'schemathesis==4.32.5';
const lists = ['package.json', 'package-lock.json'].map((name) => path.join(import.meta.dirname, name));

/** Another list of packages is another folder, so that an older one is never used. */
function folder(): string {
  const hash = createHash('sha256').update(schemathesis);
  for (const file of lists) hash.update(readFileSync(file));
  return path.join(strangersFolder(), hash.digest('hex').slice(0, 16));
}

/** Programs that nobody here wrote, by what starts them. */
export const strangers = {
  schemathesis: (): string => path.join(path.dirname(venvPython(folder())), 'schemathesis'),
  redocly: (): string => path.join(folder(), 'node_modules/.bin/redocly'),
  openapiTypescript: (): string => path.join(folder(), 'node_modules/.bin/openapi-typescript'),
  tsc: (): string => path.join(folder(), 'node_modules/.bin/tsc'),
} as const;

/** Makes sure that they are in the user's cache folder. @throws an Error that says what is missing. */
export async function installStrangers(signal: AbortSignal, log: (line: string) => void): Promise<void> {
  const place = folder();
  await buildOnce(
    place,
    async () => {
      log(`Installing schemathesis, redocly and openapi-typescript, about 200 MB, into ${place} …`);
      const options = { logFile: path.join(place, 'install.log'), signal, cwd: place };
      const python = await findPython(10, 14, signal);
      await runLogged([python.path, '-m', 'venv', 'venv'], options);
      await runLogged([...pipInstall(venvPython(place)), schemathesis], options);
      for (const file of lists) cpSync(file, path.join(place, path.basename(file)));
      await runLogged(['npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund'], options);
      return { python: python.version };
    },
    { signal, log },
  );
}
