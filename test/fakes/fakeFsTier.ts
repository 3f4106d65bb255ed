import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface FakeTierOptions {
  readonly rootDir: string;
  /** As the server was given it; becomes the folder's name. Default `./fake`, which makes a hidden one. */
  readonly modelPath?: string;
  /** vLLM's `blocks_per_chunk`. Files of several blocks are written and never loaded. Default 1. */
  readonly blocksPerFile?: number;
  /** `next-step`: the last block of a request is written when the engine takes its next step. Default `soon`. */
  readonly lastBlock?: 'soon' | 'next-step';
}

/** vLLM's file tier: one file for each block, or for so many of them, under vLLM's own names. It survives a restart and checks nothing but sizes. */
export class FakeFsTier {
  readonly modelPath: string;
  readonly #folder: string;
  readonly #blocksPerFile: number;
  readonly #fileBytes: number;
  /** Of this process: what `/metrics` shows. */
  writtenBytes = 0;
  readBytes = 0;
  readonly #lastBlock: 'soon' | 'next-step';
  #pending: { readonly hash: string; readonly bytes: Uint8Array }[] = [];

  constructor(options: FakeTierOptions, blockTokens: number, blockBytes: number) {
    this.modelPath = options.modelPath ?? './fake';
    this.#blocksPerFile = options.blocksPerFile ?? 1;
    this.#fileBytes = this.#blocksPerFile * blockBytes;
    this.#lastBlock = options.lastBlock ?? 'soon';
    const config = { blocks_per_file: this.#blocksPerFile, model_name: this.modelPath, tokens_per_hash: blockTokens };
    const id = createHash('sha256').update(JSON.stringify(config)).digest('hex').slice(0, 12);
    const base = join(options.rootDir, `${this.modelPath.replaceAll('/', '_')}_${id}`);
    mkdirSync(base, { recursive: true });
    writeFileSync(join(base, 'config.json'), JSON.stringify(config));
    this.#folder = `${base}_r0`;
  }

  pathOf(hash: string): string {
    return join(this.#folder, hash.slice(0, 3), `${hash.slice(3, 5)}_g0`, `${hash}.bin`);
  }

  /** Undefined when it is not there or has another size: vLLM then computes the block. */
  load(hash: string): Uint8Array | undefined {
    if (this.#blocksPerFile > 1 || !this.#has(hash)) return undefined;
    this.readBytes += this.#fileBytes;
    return readFileSync(this.pathOf(hash));
  }

  /** Writes what is not there yet, or was cut short; whatever else is there is believed, as vLLM does. */
  store(blocks: readonly { readonly hash: string; readonly bytes: Uint8Array }[]): void {
    const absent = this.#filesOf(blocks).filter(({ hash }) => !this.#has(hash));
    const later = this.#lastBlock === 'next-step' ? absent.slice(-1) : [];
    for (const block of absent.slice(0, absent.length - later.length)) this.#write(block);
    this.#pending.push(...later);
  }

  /** The engine takes a step: what waited is written. */
  step(): void {
    for (const block of this.#pending.splice(0)) this.#write(block);
  }

  /** The process died: what waited is lost, and its counters with it. */
  crash(): void {
    this.#pending = [];
    this.writtenBytes = 0;
    this.readBytes = 0;
  }

  #has(hash: string): boolean {
    return statSync(this.pathOf(hash), { throwIfNoEntry: false })?.size === this.#fileBytes;
  }

  /** Each named by the last of its blocks; what fills none is left. */
  #filesOf(blocks: readonly { readonly hash: string; readonly bytes: Uint8Array }[]) {
    const count = this.#blocksPerFile;
    return blocks.flatMap(({ hash }, index) => {
      const isLast = (index + 1) % count === 0;
      const bytes = Buffer.concat(blocks.slice(index + 1 - count, index + 1).map((block) => block.bytes));
      return isLast ? [{ hash, bytes }] : [];
    });
  }

  #write({ hash, bytes }: { readonly hash: string; readonly bytes: Uint8Array }): void {
    const path = this.pathOf(hash);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(`${path}.tmp`, bytes);
    renameSync(`${path}.tmp`, path);
    this.writtenBytes += this.#fileBytes;
  }
}
