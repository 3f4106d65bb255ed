import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import * as z from 'zod/mini';
import type { ModelFile } from './ggufFiles.ts';

const layerSchema = z.object({ mediaType: z.string(), digest: z.string() });
const manifestSchema = z.object({ config: z.optional(layerSchema), layers: z.array(layerSchema) });
const configSchema = z.object({ file_type: z.optional(z.string()) });

const weights = 'application/vnd.ollama.image.model';

/**
 * The models of Ollama. Its manifests (`manifests/HOST/NAMESPACE/NAME/TAG`) name blobs; the one with the weights is a GGUF file. A
 * manifest that cannot be read, or whose blob is missing, is no model.
 *
 * @param folder its `models`.
 */
export async function ollamaModels(folder: string, signal: AbortSignal): Promise<ModelFile[]> {
  const manifests = path.join(folder, 'manifests');
  const entries = await readdir(manifests, { recursive: true, withFileTypes: true }).catch(() => []);
  const found: ModelFile[] = [];
  for (const entry of entries.filter((one) => one.isFile())) {
    signal.throwIfAborted();
    const file = path.join(entry.parentPath, entry.name);
    const model = await readManifest(folder, file).catch(() => null);
    if (model !== null) found.push({ ...model, source: 'Ollama', name: nameOf(path.relative(manifests, file)) });
  }
  return found;
}

type Blob = Pick<ModelFile, 'path' | 'sizeBytes' | 'quantisation'>;

/** @throws whatever is wrong with it. */
async function readManifest(folder: string, file: string): Promise<Blob | null> {
  const { layers, config } = z.parse(manifestSchema, JSON.parse(await readFile(file, 'utf8')));
  const layer = layers.find(({ mediaType }) => mediaType === weights);
  if (!layer) return null;
  const blob = blobPath(folder, layer.digest);
  const { size } = await stat(blob);
  return { path: blob, sizeBytes: size, quantisation: config ? await fileType(blobPath(folder, config.digest)) : null };
}

async function fileType(config: string): Promise<string | null> {
  try {
    return z.parse(configSchema, JSON.parse(await readFile(config, 'utf8'))).file_type ?? null;
  } catch {
    return null;
  }
}

/** @throws Error for a digest that is none: it becomes a part of a path. */
function blobPath(folder: string, digest: string): string {
  if (!/^sha256:[0-9a-f]{64}$/.test(digest)) throw new Error(`${digest} is no digest`);
  return path.join(folder, 'blobs', digest.replace(':', '-'));
}

/** `qwen3:4b` as Ollama says it: its own host and namespace are left out. */
function nameOf(relative: string): string {
  const parts = relative.split(path.sep);
  const tag = parts.pop() ?? '';
  const shown = parts.filter((part, index) => !(index === 0 && part === 'registry.ollama.ai') && part !== 'library');
  return `${shown.join('/')}:${tag}`;
}
