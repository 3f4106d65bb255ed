import type { UserPlaces } from '../../base/userDataDirectory.ts';
import type { Discovery, FoundFile } from '../../protocol/schemas/discovery.ts';
import { ggufFiles, type ModelFile } from './ggufFiles.ts';
import { systemProcesses, type ProcessView } from '../engines/listeningProcess.ts';
import { loopbackPort } from '../engines/loopbackPort.ts';
import { loopbackServers, usualPorts } from './loopbackServers.ts';
import { modelFolders, ollamaFolders } from './modelFolders.ts';
import { ollamaModels } from './ollamaModels.ts';

export interface Machine extends UserPlaces {
  readonly memoryBytes: number;
  /** Default: {@link usualPorts}. */
  readonly ports?: Readonly<Record<number, string>>;
  /** Where the folders of servers are looked for. Default: this machine's processes. */
  readonly processes?: ProcessView;
}

/** Weights stay in memory whole; KV cache and buffers take about a fifth more, and the system wants its part. */
const neededPerByte = 1.2;
const forTheSystemBytes = 1e9;

/**
 * What this user could use as a model server: servers that answer on loopback, and GGUF files that other programs brought.
 *
 * @param baseUrl `OPENAI_BASE_URL` of the client; a port on loopback is asked too, anything else is ignored.
 */
export async function discover(
  machine: Machine,
  baseUrl: string | undefined,
  signal: AbortSignal,
): Promise<Pick<Discovery, 'servers' | 'files'>> {
  const named = loopbackPort(baseUrl);
  const ports = machine.ports ?? usualPorts;
  const asked = named === null || named in ports ? ports : { ...ports, [named]: 'OpenAI-compatible server' };
  const [servers, ...files] = await Promise.all([
    loopbackServers(asked, machine.processes ?? systemProcesses(), signal),
    ...ollamaFolders(machine).map((folder) => ollamaModels(folder, signal)),
    ...modelFolders(machine).map((folder) => ggufFiles(folder, signal)),
  ]);
  return { servers, files: files.flat().map((file) => foundFile(file, machine.memoryBytes)) };
}

const foundFile = ({ path, ...file }: ModelFile, memoryBytes: number): FoundFile => ({
  ...file,
  spec: `embedded:${path}`,
  fits: file.sizeBytes * neededPerByte + forTheSystemBytes <= memoryBytes,
});
