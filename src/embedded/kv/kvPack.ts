import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { blockFileBytes, decodeBlock, encodeBlock, headBytes, nameBytesOf, type PieceKind } from './files/blockFile.ts';
import type { BlockFolder } from './files/blockFolder.ts';
import type { DiskCache } from './diskCache.ts';
import { isSameLayout, kvBytesPerToken, type KvLayout } from './state/kvLayout.ts';
import { StateFormatError, windowLayout } from './state/stateFile.ts';

/** What the KV of two machines must have in common, so that one can use the other's. The last bits of a GPU's are its own, which is no matter here. */
export interface PackIdentity {
  readonly modelSha256: string;
  readonly llamaCpp: string;
  readonly layout: KvLayout;
  /** Of the cache of a sliding window; null for a model without. */
  readonly windowLayout: KvLayout | null;
  readonly blockTokens: number;
  readonly positionContext: number | null;
}

export interface KvPackOptions {
  readonly identity: PackIdentity;
  readonly cache: DiskCache;
  readonly rows: BlockFolder;
  /** Null for a model whose state can be cut after any token. */
  readonly positions: BlockFolder | null;
  readonly runFolder: string;
}

/** KV of the first tokens of a context, as it is in a file. */
export interface PackedKv {
  readonly tokens: number;
  /** What the file has more for it. */
  readonly bytes: number;
}

/** KV that came in with a file. */
export interface TakenKv extends PackedKv {
  /** What was set aside, and why. */
  readonly notes: readonly string[];
}

/** The request is wrong, or the file is. */
export class PackError extends Error {
  override readonly name = 'PackError';
}

const format = 'cwm-kv';
const version = 1;
const maxLineBytes = 1 << 18;
/** More states than these continue from places that hardly any prompt stops at. */
const statesTaken = 2;

interface Piece {
  readonly kind: PieceKind;
  readonly block: number;
  readonly bytes: number;
}

/**
 * KV behind the text of a `.cwindow` file, one piece after the other, so that memory holds one of them:
 *
 * line of JSON (format, version, identity, tokens, bytes) · { line of JSON (kind, block, bytes) · the piece as in {@link encodeBlock}, in clear }.
 *
 * A piece has the name that its tokens have without a salt: salts are secrets of the machine that wrote them, and the tokens decide where it
 * belongs. The importing engine names it under a salt of its own store. Tags and names find damage and KV that was made of other tokens by
 * an honest program. They do not find a lie: KV is a prompt that nobody can read.
 */
export class KvPack {
  readonly #options: KvPackOptions;

  constructor(options: KvPackOptions) {
    this.#options = options;
  }

  /** What {@link write} would write now. */
  measure(ids: readonly number[], salt: string | null): PackedKv {
    const { tokens, pieces } = this.#stored(ids, salt);
    return { tokens, bytes: this.#bytesOf(tokens, pieces) };
  }

  /**
   * Appends the KV that is on the disk of these ids to a file, and has it on the disk when this resolves. After an error, the file is as before.
   *
   * @throws PackError where there is no such file, or no KV.
   */
  async write(ids: readonly number[], salt: string | null, path: string, signal: AbortSignal): Promise<PackedKv> {
    await using file = await opened(path, constants.O_RDWR);
    const startBytes = (await file.stat()).size;
    try {
      for (let tries = 0; tries < 3; tries++) {
        const written = await this.#append(file, startBytes, { ids, salt }, signal);
        if (written) return written;
        await file.truncate(startBytes);
      }
      throw new PackError('Its KV changes while it is written. Try again.');
    } catch (error) {
      await file.truncate(startBytes);
      throw error;
    }
  }

  /** Null: a piece turned out to be damaged or was evicted. */
  async #append(
    file: FileHandle,
    startBytes: number,
    { ids, salt }: { readonly ids: readonly number[]; readonly salt: string | null },
    signal: AbortSignal,
  ): Promise<PackedKv | null> {
    const { cache } = this.#options;
    const { tokens, pieces } = this.#stored(ids, salt);
    if (pieces.length === 0) throw new PackError('The engine has no KV of it on its disk.');
    const bytes = this.#bytesOf(tokens, pieces);
    const own = cache.hashes(ids, salt);
    const plain = cache.hashes(ids, null);
    let at = startBytes;
    const append = async (part: Uint8Array): Promise<void> => {
      await writeAll(file, part, at);
      at += part.length;
    };
    await append(this.#head(tokens, bytes));
    for (const piece of pieces) {
      signal.throwIfAborted();
      const payload = this.#folder(piece.kind)?.read(own[piece.block] ?? '');
      if (!payload) return null;
      const { head, body } = encodeBlock(plain[piece.block] ?? '', payload, piece.kind, { key: null });
      if (head.length + body.length !== piece.bytes) return null;
      await append(line(piece));
      await append(head);
      await append(body);
    }
    await file.sync();
    return { tokens, bytes: at - startBytes };
  }

  /**
   * Takes the KV of these ids from a file, under a salt under which nobody has KV yet. What does not belong to this model, or to these ids, or is
   * damaged, is left in the file.
   *
   * @param offset where it begins in the file, in bytes.
   * @throws PackError where there is no such file.
   */
  async read(
    ids: readonly number[],
    salt: string | null,
    { path, offset }: { readonly path: string; readonly offset: number },
    signal: AbortSignal,
  ): Promise<TakenKv> {
    const { cache, identity } = this.#options;
    await using file = await opened(path, constants.O_RDONLY);
    const reader = new PackReader(file, offset, (await file.stat()).size);
    const refused = refusal(await reader.line(), identity);
    if (refused !== null) return { tokens: 0, bytes: 0, notes: [refused] };
    const own = cache.hashes(ids, salt);
    const plain = cache.hashes(ids, null);
    const aside = { broken: 0, others: 0 };
    let bytes = 0;
    while (!reader.isAtEnd) {
      signal.throwIfAborted();
      const piece = pieceOf(await reader.line());
      // Behind a broken line, nobody knows where the next piece begins.
      if (!piece || piece.bytes > this.#mostBytes(piece)) {
        aside.broken++;
        break;
      }
      const name = plain[piece.block];
      if (name === undefined) {
        aside.others++;
        reader.skip(piece.bytes);
        continue;
      }
      const content = await reader.take(piece.bytes);
      if (!content) {
        aside.broken++;
        break;
      }
      const payload = decodeBlock(name, content, piece.kind, { key: null });
      if (payload === null) {
        if (isNamed(content, name)) aside.broken++;
        else aside.others++;
      } else if (this.#isWellFormed(piece, payload)) {
        const temporary = join(this.#options.runFolder, 'taken.tmp');
        if (this.#folder(piece.kind)?.write(own[piece.block] ?? '', payload, temporary)) bytes += piece.bytes;
      } else aside.broken++;
    }
    const tokens = cache.reach(own, own.length) * cache.blockTokens;
    return { tokens, bytes, notes: asideNotes(aside) };
  }

  /** The pieces of the longest beginning that can be continued. */
  #stored(ids: readonly number[], salt: string | null): { readonly tokens: number; readonly pieces: readonly Piece[] } {
    const { cache, rows, positions } = this.#options;
    const hashes = cache.hashes(ids, salt);
    const blocks = cache.reach(hashes, hashes.length);
    const found = (kind: PieceKind, folder: BlockFolder): Piece[] =>
      hashes.slice(0, blocks).flatMap((hash, block) => {
        const bytes = folder.bytesOf(hash);
        return bytes === null ? [] : [{ kind, block, bytes }];
      });
    const states = positions ? found('position', positions).slice(-statesTaken) : [];
    return { tokens: blocks * cache.blockTokens, pieces: [...found('rows', rows), ...states] };
  }

  #bytesOf(tokens: number, pieces: readonly Piece[]): number {
    if (pieces.length === 0) return 0;
    const inPieces = pieces.reduce((sum, piece) => sum + line(piece).length + piece.bytes, 0);
    // The head names the sum, its own length among it.
    let bytes = inPieces;
    for (let tries = 0; tries < 4; tries++) bytes = inPieces + this.#head(tokens, bytes).length;
    return bytes;
  }

  #head(tokens: number, bytes: number): Buffer {
    return line({ format, version, ...this.#options.identity, tokens, bytes });
  }

  #folder(kind: PieceKind): BlockFolder | null {
    return kind === 'rows' ? this.#options.rows : this.#options.positions;
  }

  #mostBytes({ kind, block }: Piece): number {
    const { identity, rows } = this.#options;
    if (kind === 'rows') return blockFileBytes(rows.payloadBytes ?? 0);
    const { windowLayout: layout } = identity;
    if (!layout) return 0;
    const tokens = (block + 1) * identity.blockTokens;
    const sections = layout.keys.length + layout.values.length;
    return blockFileBytes(16 + sections * 12 + tokens * (12 + kvBytesPerToken(layout)));
  }

  #isWellFormed({ kind, block }: Piece, payload: Buffer): boolean {
    const { identity, rows } = this.#options;
    if (kind === 'rows') return payload.length === rows.payloadBytes;
    try {
      const layout = windowLayout(payload, (block + 1) * identity.blockTokens);
      return identity.windowLayout !== null && isSameLayout(layout, identity.windowLayout);
    } catch (error) {
      if (error instanceof StateFormatError) return false;
      throw error;
    }
  }
}

const line = (value: object): Buffer => Buffer.from(`${JSON.stringify(value)}\n`);

/** A regular file, never one behind a link. @throws PackError. */
async function opened(path: string, flags: number): Promise<FileHandle> {
  let file: FileHandle;
  try {
    // oxlint-disable-next-line no-bitwise
    file = await open(path, flags | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
  } catch (cause) {
    throw new PackError(`${path} cannot be opened.`, { cause });
  }
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw new PackError(`${path} is no file.`);
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length;)
    at += (await file.write(bytes, at, bytes.length - at, position + at)).bytesWritten;
}

/** Reads the file from a place on, at most one piece at a time. */
class PackReader {
  readonly #file: FileHandle;
  readonly #sizeBytes: number;
  #at: number;

  constructor(file: FileHandle, at: number, sizeBytes: number) {
    this.#file = file;
    this.#at = at;
    this.#sizeBytes = sizeBytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#sizeBytes;
  }

  skip(bytes: number): void {
    this.#at += bytes;
  }

  /** Null where the file ends before. */
  async take(bytes: number): Promise<Buffer | null> {
    if (this.#at + bytes > this.#sizeBytes) return null;
    const buffer = Buffer.allocUnsafe(bytes);
    for (let got = 0; got < bytes;) {
      const { bytesRead } = await this.#file.read(buffer, got, bytes - got, this.#at + got);
      if (bytesRead === 0) return null;
      got += bytesRead;
    }
    this.#at += bytes;
    return buffer;
  }

  /** The next line as JSON; null where it is none. */
  async line(): Promise<unknown> {
    const stepBytes = 512;
    for (let length = stepBytes; length <= maxLineBytes; length *= 4) {
      const from = this.#at;
      const bytes = await this.take(Math.min(length, Math.max(0, this.#sizeBytes - from)));
      const end = bytes?.indexOf(0x0a) ?? -1;
      this.#at = from;
      if (bytes && end >= 0) {
        this.#at = from + end + 1;
        return parsed(bytes.toString('utf8', 0, end));
      }
    }
    return null;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};

function pieceOf(value: unknown): Piece | null {
  const { kind, block, bytes } = fieldsOf(value);
  const isCount = (count: unknown): count is number => Number.isSafeInteger(count) && Number(count) >= 0;
  if ((kind !== 'rows' && kind !== 'position') || !isCount(block) || !isCount(bytes)) return null;
  return { kind, block, bytes };
}

/** Why nothing of it can be used here, in a sentence. */
function refusal(value: unknown, identity: PackIdentity): string | null {
  const head = fieldsOf(value);
  if (head['format'] !== format) return 'Behind the text is no KV, or it is damaged.';
  if (head['version'] !== version)
    return 'The KV is written in a version of the format that this program does not know.';
  if (head['modelSha256'] !== identity.modelSha256) return 'The KV is of another model.';
  if (head['llamaCpp'] !== identity.llamaCpp)
    return `The KV is of llama.cpp ${String(head['llamaCpp'])}, and this is ${identity.llamaCpp}.`;
  const isSame = (Object.keys(identity) as (keyof PackIdentity)[]).every(
    (key) => JSON.stringify(head[key]) === JSON.stringify(identity[key]),
  );
  return isSame ? null : 'The KV has another form: its type, the size of its blocks or the context length is another.';
}

/** Whether the bytes say that they are the block of that name. */
const isNamed = (content: Buffer, name: string): boolean =>
  nameBytesOf(content.subarray(0, headBytes)).toString('hex') === name;

function asideNotes({ broken, others }: { readonly broken: number; readonly others: number }): string[] {
  return [
    ...(broken > 0 ? [`Damaged pieces of KV were left in the file: ${broken}.`] : []),
    ...(others > 0
      ? [`Pieces of KV that are of other tokens than this text has here were left in the file: ${others}.`]
      : []),
  ];
}
