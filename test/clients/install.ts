import { cpSync, readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import path from 'node:path';
import { buildOnce } from '../engines/live/buildOnce.ts';
import { strangersFolder } from '../engines/live/cacheFolder.ts';
import { pipInstall, runLogged } from '../engines/live/loggedCommand.ts';
import { findPython, venvPython } from '../engines/live/python.ts';

/** Programs that nobody here wrote, and that talk to model servers or to servers of MCP. Each is installed in a folder of its own. */
export const clientPackages = {
  openai: 'openai@7.59.0',
  continue: '@continuedev/cli@1.5.47',
  codex: '@openai/codex@0.171.0',
  inspector: '@modelcontextprotocol/inspector@2.12.0',
  /** From PyPI. */
  pythonMcp: 'mcp==2.3.0',
} as const;
export type ClientName = keyof typeof clientPackages;

/** Where a client is or would be installed: another version is another folder. */
export function clientFolder(name: ClientName): string {
  const hash = createHash('sha256').update(clientPackages[name]).digest('hex').slice(0, 12);
  return path.join(path.dirname(strangersFolder()), 'clients', `${name}-${hash}`);
}

/** Makes sure that it is there. @throws an Error that says what is missing. */
export async function installClient(name: ClientName, signal: AbortSignal, log: (line: string) => void): Promise<void> {
  const place = clientFolder(name);
  const work = async (): Promise<{ readonly package: string }> => {
    log(`Installing ${clientPackages[name]} into ${place} …`);
    const options = { logFile: path.join(place, 'install.log'), signal, cwd: place };
    cpSync(path.join(import.meta.dirname, 'package.json.txt'), path.join(place, 'package.json'));
    if (clientPackages[name].includes('==')) {
      const python = await findPython(10, 14, signal);
      await runLogged([python.path, '-m', 'venv', 'venv'], options);
      await runLogged([...pipInstall(venvPython(place)), clientPackages[name]], options);
    } else {
      await runLogged(['npm', 'install', '--save-exact', '--no-audit', '--no-fund', clientPackages[name]], options);
    }
    return { package: clientPackages[name] };
  };
  await buildOnce(place, work, { signal, log });
}

/** @throws an Error that says what to do when it is not installed. */
export function clientModules(name: ClientName): string {
  const list = path.join(clientFolder(name), 'package.json');
  try {
    readFileSync(list);
  } catch {
    throw new Error(`${clientPackages[name]} is not installed. Run: npm run clients:install ${name}`);
  }
  return list;
}
