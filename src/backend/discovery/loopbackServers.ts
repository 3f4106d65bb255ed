import { request } from 'undici';
import * as z from 'zod/mini';
import type { FoundServer } from '../../protocol/schemas/discovery.ts';
import { engineAdapters } from '../engines/adapters.ts';
import { findPlaces } from '../engines/findPlaces.ts';
import type { ProcessView } from '../engines/listeningProcess.ts';
import { withPlaces } from '../../protocol/engineSpec.ts';
import { modelName } from '../../engines/llamaServer/serverIdentity.ts';
import { UrlEngine } from '../engines/urlEngine.ts';

/** Where model servers listen when nobody tells them otherwise. */
export const usualPorts: Readonly<Record<number, string>> = {
  8000: 'vLLM',
  8080: 'llama-server',
  11434: 'Ollama',
  1234: 'LM Studio',
  5001: 'KoboldCpp',
  30000: 'SGLang',
  1337: 'Jan',
};

/** A server on loopback answers within milliseconds, unless it is busy with a prompt. */
const answerTimeoutMs = 1500;
const describeTimeoutMs = 4000;

const modelListSchema = z.object({ data: z.array(z.object({ id: z.string(), owned_by: z.optional(z.unknown()) })) });

/** What servers write as the owner of their models. */
const owners: Readonly<Record<string, string>> = {
  vllm: 'vLLM',
  llamacpp: 'llama-server',
  library: 'Ollama',
  organization_owner: 'LM Studio',
  koboldcpp: 'KoboldCpp',
  sglang: 'SGLang',
};

/**
 * The model servers that answer on this machine. Nothing is asked of any other machine, no key is sent, and nothing is computed.
 *
 * @param ports the product that usually has each port.
 */
export async function loopbackServers(
  ports: Readonly<Record<number, string>>,
  processes: ProcessView,
  signal: AbortSignal,
): Promise<FoundServer[]> {
  const asked = Object.entries(ports).map(([port, product]) =>
    askServer(`http://127.0.0.1:${port}`, product, processes, signal),
  );
  const found = (await Promise.all(asked)).filter((server) => server !== null);
  signal.throwIfAborted();
  return found;
}

async function askServer(
  url: string,
  usual: string,
  processes: ProcessView,
  signal: AbortSignal,
): Promise<FoundServer | null> {
  const listed = await listedModels(url, signal);
  if (listed === null) return null;
  const server: FoundServer = { spec: url, product: usual, kind: null, version: null, models: [], wantsKey: false };
  if (listed === 'wants key') return { ...server, wantsKey: true };
  const [owner] = listed.map(({ owned_by }) => (typeof owned_by === 'string' ? owners[owned_by] : undefined));
  const models = listed.map(({ id }) => ({ id: modelName(id), use: 'unknown' as const }));
  return { ...server, product: owner ?? usual, models, ...(await described(url, processes, signal)) };
}

type Listed = z.infer<typeof modelListSchema>['data'];

/** Null: nothing listens there, or what does is no model server. */
async function listedModels(url: string, signal: AbortSignal): Promise<Listed | 'wants key' | null> {
  try {
    const within = AbortSignal.any([signal, AbortSignal.timeout(answerTimeoutMs)]);
    const { statusCode, body } = await request(`${url}/v1/models`, { signal: within });
    const text = await body.text();
    if (statusCode === 401) return 'wants key';
    const list = modelListSchema.safeParse(statusCode === 200 ? JSON.parse(text) : null);
    return list.success ? list.data.data : null;
  } catch {
    return null;
  }
}

/** What the engine adapters find out; nothing where the server does not answer them in time. */
async function described(url: string, processes: ProcessView, signal: AbortSignal): Promise<Partial<FoundServer>> {
  const engine = new UrlEngine({
    spec: url,
    places: {},
    adapters: engineAdapters,
    connect: async () => ({ url }),
    find: (adapter) => findPlaces(url, adapter, processes),
  });
  try {
    const within = AbortSignal.any([signal, AbortSignal.timeout(describeTimeoutMs)]);
    const { kind, version, models } = await engine.describe(within);
    // Without it, the plain URL leads to the same folder, which is then looked for and tried again at each start of the server.
    const places = await engine.seenPlaces(within).catch(() => ({}));
    const spec = withPlaces(url, places);
    return { spec, kind, version, ...(models && { models: [...models] }) };
  } catch {
    return {};
  } finally {
    await engine.close();
  }
}
