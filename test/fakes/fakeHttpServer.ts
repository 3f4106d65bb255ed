import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { HttpFault } from './fakeFaults.ts';
import { sendAnswer, type Answer, type SeenRequest } from './fakeHttp.ts';

/** Time as the fake knows it: runs `task` so much later. */
export type Schedule = (delayMs: number, task: () => void) => void;

export interface FakeServing {
  /** Of answers that are slow. Default: the system's timers. */
  readonly schedule?: Schedule | undefined;
  /** What is done to the next exchanges. */
  readonly faults: { readonly http: HttpFault | null };
  /** Called with each request before its fault is looked up. */
  readonly onRequest?: (request: SeenRequest) => void;
  /** Null drops the connection. */
  answer(request: SeenRequest): Answer | null | Promise<Answer | null>;
}

const systemSchedule: Schedule = (delayMs, task) => void setTimeout(task, delayMs);

/** The HTTP side of a fake: a real server on a real port that remembers what it saw, and can die and come back. */
export class FakeHttpServer {
  /** Every request, in order of arrival. */
  readonly requests: SeenRequest[] = [];
  readonly #serving: FakeServing;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #connections = new WeakMap<Socket, number>();
  readonly #watchers = new Set<() => void>();
  readonly #held = new Set<ServerResponse>();
  #connectionCount = 0;
  #port = 0;

  constructor(serving: FakeServing) {
    this.#serving = serving;
    const onRequest = (request: IncomingMessage, response: ServerResponse): void =>
      void this.#handle(request, response);
    this.#server = createServer(onRequest);
    this.#server.on('connection', (socket: Socket) => {
      this.#connections.set(socket, ++this.#connectionCount);
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Connections so far. */
  get connectionCount(): number {
    return this.#connectionCount;
  }

  get openConnections(): number {
    return this.#sockets.size;
  }

  /** Whether a client waits for more than has come, and nothing will for a while. */
  get isHoldingBack(): boolean {
    return this.#held.size > 0;
  }

  get isListening(): boolean {
    return this.#server.listening;
  }

  /** Requests whose path begins so. */
  requestsTo(path: string): SeenRequest[] {
    return this.requests.filter((request) => request.path.startsWith(path));
  }

  /** Resolves once that many such requests have arrived in all. */
  async untilRequests(path: string, count: number): Promise<void> {
    while (this.requestsTo(path).length < count) {
      await new Promise<void>((resolve) => this.#watchers.add(resolve));
    }
  }

  /** On the port it had before, if it had one. */
  async listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#port, '127.0.0.1', () => resolve());
    });
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Connections break, and nobody listens. */
  async kill(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      return; // The client left.
    }
    const text = Buffer.concat(chunks).toString('utf8');
    const seen: SeenRequest = {
      method: request.method ?? '',
      path: request.url ?? '',
      headers: request.headers,
      body: text === '' ? undefined : JSON.parse(text),
      connection: this.#connections.get(request.socket) ?? 0,
    };
    this.#serving.onRequest?.(seen);
    const fault = this.#takeFault(seen.path);
    const spoilsEarly = fault !== null && (fault.kind === 'status' || fault.kind === 'drop') && fault.late !== true;
    const answer: Answer | null = spoilsEarly ? { status: 500, json: {} } : await this.#serving.answer(seen);
    if (answer) this.#answer(response, answer, fault);
    else response.socket?.destroy();
    // Told last, so that whoever waits for a request finds the exchange under way.
    this.requests.push(seen);
    for (const wake of this.#watchers) wake();
    this.#watchers.clear();
  }

  #answer(response: ServerResponse, answer: Answer, fault: HttpFault | null): void {
    if (fault?.kind === 'silence' || fault?.kind === 'slow') {
      this.#held.add(response);
      response.once('close', () => this.#held.delete(response));
    }
    if (fault?.kind !== 'slow') return sendAnswer(response, answer, fault);
    const { schedule = systemSchedule } = this.#serving;
    schedule(fault.delayMs, () => {
      this.#held.delete(response);
      sendAnswer(response, answer, null);
    });
  }

  #takeFault(path: string): HttpFault | null {
    const fault = this.#serving.faults.http;
    if (!fault || !path.startsWith(fault.path ?? '/') || fault.times === 0) return null;
    if (fault.after !== undefined && fault.after > 0) {
      fault.after--;
      return null;
    }
    if (fault.times !== undefined) fault.times--;
    return fault;
  }
}
