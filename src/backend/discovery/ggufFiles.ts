import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import type { ModelFolder } from './modelFolders.ts';

/** A model file, before anybody asked whether it fits. */
export interface ModelFile {
  readonly path: string;
  readonly source: string;
  readonly name: string;
  readonly sizeBytes: number;
  readonly quantisation: string | null;
}

/** `publisher/model/snapshots/revision/file` is the deepest of the known ones. */
const maxDepth = 6;
/** Who has more chooses by path. */
const maxFiles = 500;

const laterPart = /-(\d{5})-of-\d{5}\.gguf$/i;
const firstPart = /-00001-of-(\d{5})\.gguf$/i;
/** What belongs to a model and is none: its picture encoder, the data that quantisers use. */
const helper = /(^|[-_.])(mmproj|imatrix)/i;

/** The GGUF files of a folder. A split model is one: its first part, with the size of all. What cannot be read is not there. */
export async function ggufFiles({ source, path: root }: ModelFolder, signal: AbortSignal): Promise<ModelFile[]> {
  const found: ModelFile[] = [];
  await walk(root, 0, async (file) => {
    const name = path.basename(file);
    const part = laterPart.exec(name)?.[1];
    if (helper.test(name) || (part !== undefined && part !== '00001')) return;
    const sizeBytes = await sizeOfParts(file);
    if (sizeBytes === null) return;
    const shown = nameOf(name.replace(firstPart, '').replace(/\.gguf$/i, ''), file);
    found.push({ path: file, source, name: shown, sizeBytes, quantisation: quantisationIn(shown) });
  });
  return found;

  async function walk(folder: string, depth: number, visit: (file: string) => Promise<void>): Promise<void> {
    signal.throwIfAborted();
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      if (found.length >= maxFiles) return;
      const below = path.join(folder, entry.name);
      if (entry.isDirectory() && depth < maxDepth) await walk(below, depth + 1, visit);
      // The hub's snapshots are links to its blobs.
      else if (!entry.isDirectory() && /\.gguf$/i.test(entry.name)) await visit(below);
    }
  }
}

/** Jan calls each file `model.gguf`; its folder has the name. */
const nameOf = (base: string, file: string): string =>
  base.toLowerCase() === 'model' ? path.basename(path.dirname(file)) : base;

/** Null where a part is missing. */
async function sizeOfParts(file: string): Promise<number | null> {
  const count = Number(firstPart.exec(file)?.[1] ?? 1);
  const parts = Array.from({ length: count }, (_, index) =>
    count === 1 ? file : file.replace(/-00001-of-/i, `-${String(index + 1).padStart(5, '0')}-of-`),
  );
  const sizes = await Promise.all(
    parts.map((part) =>
      stat(part).then(
        (info) => (info.isFile() ? info.size : null),
        () => null,
      ),
    ),
  );
  return sizes.reduce((sum, size) => (sum === null || size === null ? null : sum + size), 0);
}

/** As llama.cpp names its types: `Q4_K_M`, `IQ3_XS`, `F16`, `MXFP4`. */
export function quantisationIn(name: string): string | null {
  const match = /(?:^|[-_.])((?:I?Q\d(?:_[A-Z0-9]+)*|TQ\d_\d|BF16|FP?(?:16|32)|MXFP4(?:_MOE)?))(?=$|[-.])/i.exec(name);
  return match?.[1]?.toUpperCase().replace(/^FP/, 'F') ?? null;
}
