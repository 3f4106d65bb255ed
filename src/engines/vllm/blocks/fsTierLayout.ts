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
  /** Blocks in one file, which is named by the last of them; null where no record says it, or several say otherwise. */
  readonly blocksPerFile: number | null;
  /** A block has a file where its number, counted from 1, is a multiple of this: of several records, where any of them has one. */
  readonly stride: number;
  /** Whether a record is there, whatever it says. */
  readonly hasRecord: boolean;
  readonly #folders: readonly string[];

  private constructor(bases: readonly TierBase[]) {
    this.#folders = bases.flatMap(({ folders }) => folders).sort();
    this.blockTokens = bases.find(({ config }) => config?.tokens_per_hash)?.config?.tokens_per_hash ?? null;
    this.hasRecord = bases.some(({ config }) => config !== null);
    const told = [...new Set(bases.map(({ config }) => config?.blocks_per_file ?? null))];
    const [only = null] = told;
    this.blocksPerFile = told.length === 1 ? only : null;
    this.stride = told.reduce<number>((common, each) => greatestCommonDivisor(common, each ?? 1), 0) || 1;
  }

  /**
   * Reads the folders that exist now: a server leaves its record when it starts, and makes a folder with its first block.
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
    const foldersOf = new Map<string, string[]>();
    for (const name of names) {
      const { base, rank } = /^(?<base>.+_[0-9a-f]{12})(?<rank>_r\d+)?$/.exec(name)?.groups ?? {};
      if (base === undefined) continue;
      const folders = foldersOf.get(base) ?? [];
      foldersOf.set(base, rank === undefined ? folders : [...folders, join(rootDir, name)]);
    }
    const bases = await Promise.all(
      [...foldersOf].map(async ([base, folders]) => ({ base, folders, config: await readConfig(join(rootDir, base)) })),
    );
    const sameSize = bases.filter(
      ({ config }) => blockTokens === null || !config?.tokens_per_hash || config.tokens_per_hash === blockTokens,
    );
    const prefix = modelName === null ? null : `${modelName.replaceAll('/', '_')}_`;
    const own = sameSize.filter(
      ({ base }) => prefix !== null && base.startsWith(prefix) && base.length === prefix.length + 12,
    );
    return new FsTierLayout(own.length > 0 ? own : sameSize);
  }

  async candidates(hash: string): Promise<readonly BlockFile[]> {
    const inFolders = await Promise.all(
      this.#folders.map(async (path) => {
        const parent = join(path, hash.slice(0, 3));
        const rank = Number(/\d+$/.exec(path)?.[0]);
        const groups = ((await listFolders(parent)) ?? []).filter((name) => groupFolder(hash).test(name)).sort();
        return groups.map((name) => ({ label: `${hash}_r${rank}_${name}`, path: join(parent, name, `${hash}.bin`) }));
      }),
    );
    return inFolders.flat();
  }
}

/** What one server's settings made of a tier: its record, and a folder for each rank. */
interface TierBase {
  readonly base: string;
  readonly folders: readonly string[];
  readonly config: z.infer<typeof configSchema> | null;
}

const greatestCommonDivisor = (one: number, other: number): number =>
  other === 0 ? one : greatestCommonDivisor(other, one % other);

const wholeNumber = z.int().check(z.positive());
const configSchema = z.object({ tokens_per_hash: z.optional(wholeNumber), blocks_per_file: z.optional(wholeNumber) });

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
async function readConfig(folder: string): Promise<TierBase['config']> {
  try {
    const parsed = configSchema.safeParse(JSON.parse(await readFile(join(folder, 'config.json'), 'utf8')));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}
