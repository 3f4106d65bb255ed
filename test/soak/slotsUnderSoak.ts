import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Receipt } from '../../src/protocol/schemas/receipt.ts';
import { llamaModel } from '../engines/live/llamaModel.ts';
import { startLlamaServer } from '../engines/live/llamaServer.ts';
import { FakeLlamaServer } from '../fakes/fakeLlamaServer.ts';
import type { IdsFact } from './facts.ts';
import { flipBit, isOf } from './flipBit.ts';
import type { ModelServer } from './modelServer.ts';
import type { Random } from './random.ts';

interface LlamaServer {
  readonly url: string;
  stop(): Promise<void>;
}

/** One request over exact ids, and what is true of it. */
interface Served {
  readonly ids: readonly number[];
  readonly cachedTokens: number;
  /** It reused what a damaged file had brought into its slot. */
  readonly isTainted: boolean;
}

/** A file as the server wrote it, out of a slot that was sound or not. */
interface Saved {
  readonly checksum: string;
  readonly isTainted: boolean;
}

const never = new AbortController().signal;

/**
 * A llama-server, real or fake, whose slot files the clients see. All requests pass this process, which looks at each file when it is saved and when it is
 * restored: so it knows which slots hold what a damaged file brought.
 */
export class SlotsUnderSoak implements ModelServer {
  // It is killed between rounds only.
  readonly mayRefuse = [];
  readonly mayJudge = [];
  readonly damagesFiles = true;
  readonly hasProcesses = false;
  readonly #slotDir: string;
  readonly #start: () => Promise<LlamaServer>;
  #server: LlamaServer;
  readonly #saved = new Map<string, Saved>();
  #tainted = new Set<number>();
  readonly #served: Served[] = [];
  readonly #proxy = createServer((request, response) => {
    this.#pass(request, response).catch(() => response.destroy());
  });

  static async start(kind: 'fake' | 'real'): Promise<SlotsUnderSoak> {
    const slotDir = mkdtempSync(join(tmpdir(), 'cwm-soak-slots-'));
    const model = kind === 'real' ? await llamaModel({ signal: never }) : '';
    const start = (): Promise<LlamaServer> =>
      kind === 'real'
        ? startLlamaServer({ modelPath: model, slotDir, servedName: 'soak' }, never)
        : FakeLlamaServer.start({ slotDir });
    const soak = new SlotsUnderSoak(slotDir, start, await start());
    await new Promise<void>((resolve) => soak.#proxy.listen(0, '127.0.0.1', resolve));
    return soak;
  }

  private constructor(slotDir: string, start: () => Promise<LlamaServer>, server: LlamaServer) {
    this.#slotDir = slotDir;
    this.#start = start;
    this.#server = server;
  }

  get spec(): string {
    return `http://127.0.0.1:${(this.#proxy.address() as AddressInfo).port}#slots=${this.#slotDir}`;
  }

  async evict(): Promise<void> {
    await this.#server.stop();
    this.#server = await this.#start();
    this.#tainted = new Set();
  }

  killBelow(): number {
    return 0;
  }

  damage(random: Random, hashes: readonly string[]): boolean {
    return hashes.length > 0 && flipBit(random, this.#pathOf(`cwm-${random.pick(hashes)}.slot`)) !== null;
  }

  falseProof({ verdict, cachedTokens }: Receipt, ids: IdsFact): string | null {
    if (verdict !== 'proven') return null;
    const asked = this.#served.findLast((served) => served.cachedTokens === cachedTokens && isOf(ids, served.ids));
    if (!asked) return `a false proof: no request over these ids reused ${cachedTokens} tokens`;
    return asked.isTainted
      ? `a false proof: the ${cachedTokens} tokens that were reused came from a damaged file`
      : null;
  }

  async stop(): Promise<void> {
    this.#proxy.closeAllConnections();
    await new Promise((resolve) => this.#proxy.close(resolve));
    await this.#server.stop();
    rmSync(this.#slotDir, { recursive: true, force: true });
  }

  async #pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await textOf(request);
    const left = new AbortController();
    response.once('close', () => left.abort());
    const before = this.#beforeAction(request.url ?? '', body);
    const answer = await fetch(this.#server.url + (request.url ?? '/'), {
      method: request.method ?? 'GET',
      headers: { 'content-type': 'application/json' },
      signal: left.signal,
      ...(body !== '' && { body }),
    });
    const text = await answer.text();
    if (answer.ok) this.#note(request.url ?? '', body, text, before);
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? 'application/json' });
    response.end(text);
  }

  /** Whether the file that is about to be restored is other than the one that was saved, or was saved of what such a file had brought. */
  #beforeAction(url: string, body: string): boolean {
    if (!/action=restore/.test(url)) return false;
    const { filename } = JSON.parse(body) as { filename: string };
    const saved = this.#saved.get(filename);
    return saved === undefined || saved.isTainted || saved.checksum !== this.#checksumOf(filename);
  }

  #note(url: string, body: string, answer: string, isDamaged: boolean): void {
    const [, slot, action] = /^\/slots\/(\d+)\?action=(\w+)/.exec(url) ?? [];
    if (action === 'save') {
      const { filename } = JSON.parse(body) as { filename: string };
      const checksum = this.#checksumOf(filename);
      if (checksum !== null) this.#saved.set(filename, { checksum, isTainted: this.#tainted.has(Number(slot)) });
    }
    if (action === 'erase' || action === 'restore') this.#tainted.delete(Number(slot));
    if (action === 'restore' && isDamaged) this.#tainted.add(Number(slot));
    if (url === '/completion') this.#noteCompletion(body, answer);
  }

  #noteCompletion(body: string, answer: string): void {
    const { prompt, id_slot: slot } = JSON.parse(body) as { prompt: unknown; id_slot: number };
    const cached = [...answer.matchAll(/"cache_n":\s*(\d+)/g)].at(-1)?.[1];
    if (cached === undefined) return;
    const cachedTokens = Number(cached);
    if (cachedTokens === 0) this.#tainted.delete(slot);
    if (Array.isArray(prompt))
      this.#served.push({ ids: prompt as number[], cachedTokens, isTainted: this.#tainted.has(slot) });
  }

  /** Null where there is no such file. */
  #checksumOf(filename: string): string | null {
    try {
      return createHash('sha256')
        .update(readFileSync(this.#pathOf(filename)))
        .digest('hex');
    } catch {
      return null;
    }
  }

  #pathOf(filename: string): string {
    return join(this.#slotDir, filename);
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
