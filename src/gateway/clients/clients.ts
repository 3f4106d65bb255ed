import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { sha256Hex } from '../../base/hash.ts';
import { CwmError } from '../../protocol/errors.ts';
import { objectOf, parsed, textOf } from '../formats/json.ts';

/** A program that has a token of its own. */
export interface Client {
  readonly name: string;
  /** SHA-256: the token itself is shown once and stored nowhere. */
  readonly tokenHash: string;
  readonly createdAt: string;
  readonly records: boolean;
}

/** The clients of the gateway and their tokens, in one file. */
export class Clients {
  readonly #path: string;
  #address: string | null = null;
  readonly #byName = new Map<string, Client>();
  readonly #byHash = new Map<string, Client>();

  constructor(path: string) {
    this.#path = path;
  }

  /** `HOST:PORT` that the clients' configurations name; null where there are no clients, or none was set up while the gateway listened. */
  get address(): string | null {
    return this.#byName.size === 0 ? null : this.#address;
  }

  /** The next process listens there, too. */
  async setUpAt(address: string): Promise<void> {
    if (this.#address === address) return;
    await replace(this.#addressPath, `${address}\n`);
    this.#address = address;
  }

  get #addressPath(): string {
    return join(dirname(this.#path), 'address');
  }

  /** A file that is not there has no clients. @throws what the file system throws. */
  async load(): Promise<void> {
    this.#address = (await readIfThere(this.#addressPath))?.trim() || null;
    const text = (await readIfThere(this.#path)) ?? '';
    for (const [name, value] of Object.entries(objectOf(parsed(text)) ?? {})) {
      const row = objectOf(value) ?? {};
      const tokenHash = textOf(row['tokenHash']);
      if (tokenHash !== '')
        this.#set({ name, tokenHash, createdAt: textOf(row['createdAt']), records: row['records'] !== false });
    }
  }

  get all(): readonly Client[] {
    return [...this.#byName.values()];
  }

  /** Who has this token; null: nobody. */
  of(token: string): Client | null {
    return this.#byHash.get(sha256Hex(token)) ?? null;
  }

  named(name: string): Client | null {
    return this.#byName.get(name) ?? null;
  }

  /**
   * Makes a client, or changes it.
   *
   * @returns its new token; null where it stays as it was.
   * @throws CwmError InvalidParameter for a name that is none.
   */
  async put(
    name: string,
    { records, rotate = true }: { readonly records?: boolean | undefined; readonly rotate?: boolean | undefined },
    createdAt: string,
  ): Promise<{ readonly client: Client; readonly token: string | null }> {
    if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(name))
      throw new CwmError('InvalidParameter', 'The name of a client has 1 to 64 letters, digits, "_" and "-".');
    const before = this.#byName.get(name);
    const token = before && !rotate ? null : randomBytes(32).toString('base64url');
    const client: Client = {
      name,
      tokenHash: token === null ? (before?.tokenHash ?? '') : sha256Hex(token),
      createdAt: before?.createdAt ?? createdAt,
      records: records ?? before?.records ?? true,
    };
    await this.#save([...this.all.filter((each) => each.name !== name), client]);
    if (before) this.#byHash.delete(before.tokenHash);
    this.#set(client);
    return { client, token };
  }

  /** @throws CwmError InvalidParameter where there is none of the name. */
  async delete(name: string): Promise<void> {
    const client = this.#byName.get(name);
    if (!client) throw new CwmError('InvalidParameter', `There is no client "${name}".`);
    await this.#save(this.all.filter((each) => each !== client));
    this.#byName.delete(name);
    this.#byHash.delete(client.tokenHash);
  }

  #set(client: Client): void {
    this.#byName.set(client.name, client);
    this.#byHash.set(client.tokenHash, client);
  }

  async #save(all: readonly Client[]): Promise<void> {
    const rows = Object.fromEntries(all.map(({ name, ...row }) => [name, row]));
    await replace(this.#path, `${JSON.stringify(rows, null, 2)}\n`);
  }
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

async function replace(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const beside = `${path}.new`;
  await writeFile(beside, text, { mode: 0o600, flush: true });
  await rename(beside, path);
}
