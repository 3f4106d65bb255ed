import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { CwmError } from '../../../protocol/errors.ts';
import type { BlockFile, BlockLayout } from '../../files/blockFile.ts';

/**
 * vLLM's file tier (`vllm/v1/kv_offload/file_mapper.py`): `<root>/<model>_<12 hex>_r<rank>/<hhh>/<hh>_g<group>/<hash>.bin`,
 * with the slashes of the model's name as `_`, so that a model at `./m` makes a hidden folder. `<root>/<model>_<12 hex>/config.json`
 * says what the 12 hex stand for.
 */
export class FsTierLayout implements BlockLayout {
  /** It may be a network disk. */
  readonly isLocal = false;
  /** Tokens that one hash covers, as the tier's `config.json` says; null when there is none. */
  readonly blockTokens: number | null;
  /** Blocks in one file: the file is named by the last of them. */
  readonly blocksPerFile: number;
  readonly #folders: readonly TierFolder[];

  private constructor(folders: readonly TierFolder[]) {
    this.#folders = folders;
    this.blockTokens = folders.find(({ config }) => config?.tokens_per_hash)?.config?.tokens_per_hash ?? null;
    this.blocksPerFile = folders.find(({ config }) => config?.blocks_per_file)?.config?.blocks_per_file ?? 1;
  }

  /**
   * Reads the folders that exist now: a server creates its folder with its first block.
   *
   * @param modelName as the server was given it; folders of other models are used only when there are no others.
   * @param blockTokens of the server; folders of another block size are not used.
   * @returns null when `rootDir` does not exist.
   */
  static async open(
    rootDir: string,
    modelName: string | null,
    blockTokens: number | null,
  ): Promise<FsTierLayout | null> {
    const names = await listFolders(rootDir);
    if (names === null) return null;
    const all = names.map((name) => /^(?<base>.+_[0-9a-f]{12})_r(?<rank>\d+)$/.exec(name)?.groups).filter(Boolean);
    const folders = await Promise.all(
      all.map(async (groups) => {
        const base = groups?.['base'] ?? '';
        return {
          path: join(rootDir, `${base}_r${groups?.['rank']}`),
          base,
          rank: Number(groups?.['rank']),
          config: await readConfig(join(rootDir, base)),
        };
      }),
    );
    const sameSize = folders.filter(
      ({ config }) => blockTokens === null || !config?.tokens_per_hash || config.tokens_per_hash === blockTokens,
    );
    const prefix = modelName === null ? null : `${modelName.replaceAll('/', '_')}_`;
    const own = sameSize.filter(
      ({ base }) => prefix !== null && base.startsWith(prefix) && base.length === prefix.length + 12,
    );
    const chosen = own.length > 0 ? own : sameSize;
    return new FsTierLayout(chosen.sort((a, b) => (a.path < b.path ? -1 : 1)));
  }

  async candidates(hash: string): Promise<readonly BlockFile[]> {
    const inFolders = await Promise.all(
      this.#folders.map(async ({ path, rank }) => {
        const parent = join(path, hash.slice(0, 3));
        const groups = ((await listFolders(parent)) ?? []).filter((name) => groupFolder(hash).test(name)).sort();
        return groups.map((name) => ({ label: `${hash}_r${rank}_${name}`, path: join(parent, name, `${hash}.bin`) }));
      }),
    );
    return inFolders.flat();
  }
}

interface TierFolder {
  readonly path: string;
  readonly base: string;
  readonly rank: number;
  readonly config: z.infer<typeof configSchema> | null;
}

const configSchema = z.object({ tokens_per_hash: z.optional(z.number()), blocks_per_file: z.optional(z.number()) });

const groupFolder = (hash: string): RegExp => new RegExp(`^${hash.slice(3, 5)}_g\\d+$`);

async function listFolders(path: string): Promise<string[] | null> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && (cause.code === 'ENOENT' || cause.code === 'ENOTDIR')) return null;
    throw new CwmError('ReadFailed', `The folder ${path} cannot be read.`, { cause });
  }
}

/** It only helps to tell folders apart, so that a missing or damaged file is no failure. */
async function readConfig(folder: string): Promise<TierFolder['config']> {
  try {
    const parsed = configSchema.safeParse(JSON.parse(await readFile(join(folder, 'config.json'), 'utf8')));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}
