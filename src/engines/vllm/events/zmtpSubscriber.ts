import { lstat } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { ownerProblem, ownerProblemInWords } from '../../../base/fileOwner.ts';
import type { EventSource, EventSink } from './eventSource.ts';
import { readyCommand, zmtpFrame, zmtpGreeting, ZmtpReader } from './zmtpFrames.ts';

const retryMs = 250;
const openMs = 2_000;
/** A topic, a number and the events: no message of vLLM has more. */
const mostParts = 3;

/**
 * Subscribes to every message of a ZeroMQ publisher: ZMTP 3.0 without encryption, over a Unix socket or loopback TCP. Reconnects by itself
 * until it is closed. Own code, because the npm package `zeromq` brings native binaries for each platform and an install script.
 */
export class ZmtpSubscriber implements EventSource {
  readonly #endpoint: string;
  #sink: EventSink | null = null;
  #socket: Socket | null = null;
  #isReady = false;
  #isClosed = false;
  #problem = 'it has not answered yet';
  #retry: NodeJS.Timeout | null = null;
  readonly #waiting = new Set<() => void>();

  /** @param endpoint `ipc:///PATH` or `tcp://HOST:PORT`. */
  constructor(endpoint: string) {
    this.#endpoint = endpoint;
  }

  start(sink: EventSink): void {
    this.#sink = sink;
    void this.#connect();
  }

  async ready(): Promise<string | null> {
    if (this.#isReady) return null;
    if (this.#retry) {
      clearTimeout(this.#retry);
      this.#retry = null;
      void this.#connect();
    }
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, openMs);
      this.#waiting.add(done);
    });
    return this.#isReady ? null : this.#problem;
  }

  close(): void {
    this.#isClosed = true;
    if (this.#retry) clearTimeout(this.#retry);
    this.#socket?.destroy();
    this.#settle();
  }

  async #connect(): Promise<void> {
    try {
      await this.#assertOwn();
    } catch (error) {
      this.#fail(error instanceof Error ? error.message : String(error));
      return;
    }
    if (this.#isClosed) return;
    const socket = connect(addressOf(this.#endpoint));
    this.#socket = socket;
    const reader = new ZmtpReader();
    let parts: Buffer[] = [];
    let why = 'the connection ended';
    socket.unref();
    socket.on('connect', () => socket.write(zmtpGreeting()));
    socket.on('error', (error) => (why = error.message));
    socket.on('close', () => this.#fail(why));
    let hasGreeted = false;
    socket.on('data', (chunk) => {
      try {
        if (!hasGreeted) socket.write(readyCommand('SUB'));
        hasGreeted = true;
        for (const frame of reader.read(chunk)) {
          if (frame.isCommand) {
            if (frame.body.toString('latin1', 0, 6) === '\x05READY') this.#begin(socket);
            continue;
          }
          if (parts.push(frame.body) > mostParts) throw new Error('it sent a message of too many parts');
          if (frame.hasMore) continue;
          this.#sink?.message(parts);
          parts = [];
        }
      } catch (error) {
        why = error instanceof Error ? error.message : String(error);
        socket.destroy();
      }
    });
  }

  /** Events hold salts in the clear, and the owner of the socket decides their content. */
  async #assertOwn(): Promise<void> {
    if (!this.#endpoint.startsWith('ipc://')) return;
    const stat = await lstat(addressOf(this.#endpoint).path ?? '');
    // Its mode is the server's umask; only the owner can answer there.
    if (ownerProblem(stat, process.getuid?.()) === 'foreign')
      throw new Error(`the socket ${ownerProblemInWords('foreign', stat)}`);
  }

  #begin(socket: Socket): void {
    // A message whose first byte is 1 subscribes to the topic behind it: to all, where there is none.
    socket.write(zmtpFrame(Buffer.from([1])));
    this.#isReady = true;
    this.#sink?.connected();
    this.#settle();
  }

  #fail(why: string): void {
    this.#problem = why;
    this.#isReady = false;
    this.#socket = null;
    this.#settle();
    if (this.#isClosed) return;
    this.#retry = setTimeout(() => {
      this.#retry = null;
      void this.#connect();
    }, retryMs).unref();
  }

  #settle(): void {
    for (const done of this.#waiting) done();
  }
}

function addressOf(endpoint: string): { path: string } | { host: string; port: number; path?: undefined } {
  if (endpoint.startsWith('ipc://')) return { path: endpoint.slice('ipc://'.length) };
  const { hostname, port } = new URL(endpoint.replace(/^tcp:/, 'http:'));
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) };
}
