import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { Emitter } from '../../base/emitter.ts';
import { sha256Hex } from '../../base/hash.ts';
import { SerialQueue } from '../../base/serialQueue.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { ToolRight } from '../../protocol/routes/gateway.ts';
import { objectOf, parsed, textOf } from '../formats/json.ts';

/** A program that has a token of its own. */
export interface Client {
  readonly name: string;
  /** SHA-256: the token itself is shown once and stored nowhere. */
  readonly tokenHash: string;
  readonly createdAt: string;
  readonly records: boolean;
  /** Which tools it may call over MCP. */
  readonly tools: ToolRight;
}

interface ClientChange {
  readonly records?: boolean | undefined;
  readonly tools?: ToolRight | undefined;
  /** False leaves the token of a client as it is. Default true. */
  readonly rotate?: boolean | undefined;
}

interface PutClient {
  readonly client: Client;
  /** Null: as before. */
  readonly token: string | null;
}

/** The clients of the gateway and their tokens, in one file. */
export class Clients {
  /** A client whose token, or whose right to tools, is not what it was: what it began with them must end. */
  readonly ended = new Emitter<string>();
  readonly #path: string;
  readonly #onFailure: (error: unknown, what: string) => void;
  readonly #queue = new SerialQueue();
  /** Why the file must not be written: it could not be read, and may have clients. */
  #unread: unknown = null;
  #address: string | null = null;
  readonly #byName = new Map<string, Client>();
  readonly #byHash = new Map<string, Client>();

  constructor(path: string, onFailure: (error: unknown, what: string) => void) {
    this.#path = path;
    this.#onFailure = onFailure;
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

  /**
   * A file that is not there has no clients. Of a damaged one, a copy stays beside it before anything is written. A file that cannot be read
   * costs the tokens of its clients, and nothing else.
   *
   * @param isReadOnly another process writes the folder: no copy is made.
   */
  async load(isReadOnly = false): Promise<void> {
    try {
      const text = await readIfThere(this.#path);
      if (text !== null && !this.#read(text) && !isReadOnly) await this.#setAside();
      this.#address = (await readIfThere(this.#addressPath))?.trim() || null;
    } catch (error) {
      this.#unread = error;
      this.#onFailure(error, 'the clients of the gateway could not be read; their tokens do not work');
    }
  }

  /** @returns whether all of it could be understood. */
  #read(text: string): boolean {
    const rows = objectOf(parsed(text));
    for (const [name, value] of Object.entries(rows ?? {})) {
      const row = objectOf(value) ?? {};
      const tokenHash = textOf(row['tokenHash']);
      if (/^[0-9a-f]{64}$/.test(tokenHash))
        this.#set({
          name,
          tokenHash,
          createdAt: textOf(row['createdAt']),
          records: row['records'] !== false,
          tools: rightOf(row['tools']),
        });
    }
    return rows !== null && this.#byName.size === Object.keys(rows).length;
  }

  async #setAside(): Promise<void> {
    const aside = `${this.#path}.damaged-${randomBytes(4).toString('hex')}`;
    await copyFile(this.#path, aside);
    const error = new CwmError('Corrupted', `The file of the gateway's clients is damaged. A copy is in ${aside}.`);
    this.#onFailure(error, 'a part of the clients of the gateway could not be read; their tokens do not work');
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
   * @throws CwmError InvalidParameter for a name that is none, and without `rotate` for one that no client has; ReadFailed.
   */
  put(name: string, change: ClientChange, createdAt: string): Promise<PutClient> {
    return this.#queue.run(() => this.#put(name, change, createdAt));
  }

  async #put(name: string, { records, tools, rotate = true }: ClientChange, createdAt: string): Promise<PutClient> {
    if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(name))
      throw new CwmError('InvalidParameter', 'The name of a client has 1 to 64 letters, digits, "_" and "-".');
    const before = this.#byName.get(name);
    if (!before && !rotate) throw noneOf(name);
    const token = before && !rotate ? null : randomBytes(32).toString('base64url');
    const client: Client = {
      name,
      tokenHash: token === null ? (before?.tokenHash ?? '') : sha256Hex(token),
      createdAt: before?.createdAt ?? createdAt,
      records: records ?? before?.records ?? true,
      tools: tools ?? before?.tools ?? 'all',
    };
    await this.#save([...this.all.filter((each) => each.name !== name), client]);
    if (before) this.#byHash.delete(before.tokenHash);
    this.#set(client);
    if (before && (token !== null || client.tools !== before.tools)) this.ended.emit(name);
    return { client, token };
  }

  /** @throws CwmError InvalidParameter where there is none of the name. */
  delete(name: string): Promise<void> {
    return this.#queue.run(async () => {
      const client = this.#byName.get(name);
      if (!client) throw noneOf(name);
      await this.#save(this.all.filter((each) => each !== client));
      this.#byName.delete(name);
      this.#byHash.delete(client.tokenHash);
      this.ended.emit(name);
    });
  }

  #set(client: Client): void {
    this.#byName.set(client.name, client);
    this.#byHash.set(client.tokenHash, client);
  }

  async #save(all: readonly Client[]): Promise<void> {
    if (this.#unread !== null) {
      throw new CwmError('ReadFailed', `${this.#path} could not be read, so that it is not replaced.`, {
        hint: 'Restart the backend once it can be read.',
        cause: this.#unread,
      });
    }
    const rows = Object.fromEntries(all.map(({ name, ...row }) => [name, row]));
    await replace(this.#path, `${JSON.stringify(rows, null, 2)}\n`);
  }
}

/** A file from before this right has none, and its clients could call every tool. What is not understood gives the lesser right. */
const rightOf = (value: unknown): ToolRight => (value === undefined || value === 'all' ? 'all' : 'read');

const noneOf = (name: string): CwmError => new CwmError('InvalidParameter', `There is no client "${name}".`);

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
  await writeFileAtomic(path, text, { mode: 0o600 });
}
