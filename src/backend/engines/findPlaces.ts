import { access, constants, stat } from 'node:fs/promises';
import type { EngineAdapter } from '../../engines/engineAdapter.ts';
import { listeningProcesses, pathOf, type ProcessView } from './listeningProcess.ts';
import { loopbackPort } from './loopbackPort.ts';

/** What a server's own command line tells of it. */
export interface FoundPlaces {
  /** By the names that a spec calls them. */
  readonly places: Readonly<Record<string, string>>;
  /** Where each was found, in words that stand behind "found in". */
  readonly foundIn: Readonly<Record<string, string>>;
  /** Sockets, which are only proposed: nothing is asked of them. */
  readonly offered: Readonly<Record<string, string>>;
  /** Start options that decide what its KV is worth; empty for none, absent where its process cannot be looked at. */
  readonly kvOptions?: string;
}

export const nothingFound: FoundPlaces = { places: {}, foundIn: {}, offered: {} };

/**
 * Looks at the command line of the server behind a URL for folders that no protocol tells. Only a server on this machine whose process
 * belongs to this user is looked at, and only a folder that this user can read counts. Asks the server nothing.
 */
export async function findPlaces(url: string, adapter: EngineAdapter, view: ProcessView): Promise<FoundPlaces> {
  const port = loopbackPort(url);
  if (port === null) return nothingFound;
  const processes = await listeningProcesses(port, view, adapter.kvVariables);
  if ('why' in processes) return nothingFound;
  const places: Record<string, string> = {};
  const foundIn: Record<string, string> = {};
  const offered = Object.assign({}, ...processes.map(({ args }) => adapter.socketsIn?.(args))) as Record<
    string,
    string
  >;
  const ambiguous = new Set<string>();
  for (const server of processes) {
    for (const [name, path] of Object.entries(adapter.foldersIn?.(server.args) ?? {})) {
      const folder = pathOf(server, path);
      if (folder === null || !(await isReadableFolder(folder))) continue;
      if (places[name] !== undefined && places[name] !== folder) ambiguous.add(name);
      places[name] ??= folder;
      foundIn[name] ??= `the command line of process ${server.pid}`;
    }
  }
  // Two processes on one port that name different folders: nobody knows which one answers.
  for (const name of ambiguous) {
    delete places[name];
    delete foundIn[name];
  }
  const options = new Set(processes.map(({ args, variables }) => adapter.kvOptionsIn?.(args, variables)));
  const [kvOptions] = options.size === 1 ? options : [];
  return { places, foundIn, offered, ...(kvOptions !== undefined && { kvOptions }) };
}

async function isReadableFolder(path: string): Promise<boolean> {
  try {
    await access(path, constants.R_OK | constants.X_OK);
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}
