import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../base/clock.ts';
import type { ClientTurns } from '../core/sessions/memory/clientTurns.ts';
import type { OutsideTurns } from '../core/sessions/outside/outsideTurns.ts';
import { CwmError } from '../protocol/errors.ts';
import type { Disposable } from '../base/disposable.ts';
import type { RouteInput, RouteOutput } from '../protocol/api.ts';
import type { SessionId } from '../protocol/ids.ts';
import type { ToolRight } from '../protocol/routes/gateway.ts';
import type { GatewayAddress } from './address.ts';
import type { GatewayContext, GatewayRequest } from './context.ts';
import type { Clients } from './clients/clients.ts';
import { Figures } from './clients/figures.ts';
import { Targets, type GatewayEngines } from './targets.ts';
import { listModels } from './memory/memoryModels.ts';
import { Talks } from './memory/talks.ts';
import { answerFailure, errorFormOf } from './passing/failures.ts';
import { FirstSpellings } from './passing/firstSpellings.ts';
import type { Healing } from './passing/heal.ts';
import { Places } from './passing/places.ts';
import { plainPath } from './passing/plainPath.ts';
import { Upstream } from './passing/upstream.ts';
import { Journal, type JournalFile } from './recording/journal.ts';
import { RecentAnswers } from './recording/recentAnswers.ts';
import { Recorder } from './recording/recorder.ts';
import { Recogniser } from './recognition/recogniser.ts';
import { scratchFile } from './recognition/scratchFile.ts';
import { ScratchIndex } from './recognition/scratchIndex.ts';
import { chatFormat } from './formats/chat/chatFormat.ts';
import { messagesFormat } from './formats/messages/messagesFormat.ts';
import { responsesFormat } from './formats/responses/responsesFormat.ts';
import { converse } from './routes/converse.ts';
import { countTokens } from './routes/countTokens.ts';
import { passThrough } from './routes/passThrough.ts';

export interface GatewayParts {
  readonly outside: OutsideTurns;
  readonly clientTurns: ClientTurns;
  readonly engines: GatewayEngines;
  readonly clock: Clock;
  readonly clients: Clients;
  readonly healing: Healing;
  readonly journal: JournalFile;
  /** A directory for what ends with the process. */
  readonly scratch: string;
  readonly onFailure: (error: unknown, what: string) => void;
}

type ListedClient = RouteOutput<'gatewayClients'>['items'][number];
type Pass = (gateway: GatewayContext, request: GatewayRequest) => Promise<void>;

/** Every route that clients can use; nothing else of a model server is reachable. */
const routes: readonly { readonly method: string; readonly path: RegExp; readonly pass: Pass }[] = [
  { method: 'GET', path: /^\/v1\/models(\/[\w.:%@+~-]+)?$/, pass: listModels },
  { method: 'POST', path: /^\/v1\/chat\/completions$/, pass: converse(chatFormat) },
  { method: 'POST', path: /^\/v1\/responses$/, pass: converse(responsesFormat) },
  { method: 'POST', path: /^\/v1\/messages$/, pass: converse(messagesFormat) },
  { method: 'POST', path: /^\/v1\/messages\/count_tokens$/, pass: countTokens },
  {
    method: 'POST',
    path: /^\/v1\/(embeddings|rerank|reranking|score|pooling|classify|completions|audio\/(transcriptions|translations|speech)|images\/generations|moderations)$/,
    pass: passThrough,
  },
];

/**
 * The model servers for the clients of other programs: what they send passes on, what comes back passes at once, and the conversation
 * becomes a session beside that.
 */
export class Gateway {
  readonly #context: GatewayContext;
  readonly #journal: Journal;
  /** What was said, and by which conversation. */
  readonly #index: ScratchIndex;
  readonly #parts: GatewayParts;
  #url: string | null = null;
  #whyTooMany: (client: string) => string | null = () => null;
  #restored: Promise<void> | null = null;

  constructor(parts: GatewayParts) {
    const { outside, clientTurns, engines, clock, healing, onFailure } = parts;
    this.#parts = parts;
    this.#journal = new Journal(parts.journal);
    const index = new ScratchIndex(scratchFile(parts.scratch));
    const spellings = new FirstSpellings(new ScratchIndex(scratchFile(parts.scratch), 1 << 17));
    this.#index = index;
    const recogniser = new Recogniser(index);
    const recorder = new Recorder({
      outside,
      clock,
      journal: this.#journal,
      before: (said) => recogniser.conversations.before(said),
      onStored: (all) => recogniser.conversations.stored(all),
      onGone: (conversation) => recogniser.forget(conversation),
      onDropped: (conversation) => recogniser.conversations.forget(conversation),
      whyTooMany: (client) => this.#whyTooMany(client),
      onFailure: (error) => onFailure(error, 'a conversation of a client could not be recorded'),
    });
    const upstream = new Upstream();
    this.#context = {
      outside,
      clientTurns,
      talks: new Talks(clientTurns, onFailure),
      clock,
      recorder,
      recentAnswers: new RecentAnswers(),
      onFailure,
      targets: new Targets(engines, upstream, clock),
      upstream,
      recogniser,
      places: new Places(),
      spellings,
      healing,
      figures: new Figures(),
      whyTooMany: (client) => this.#whyTooMany(client),
    };
  }

  /** Answers a request that may come in. Never rejects. */
  async handle(
    req: IncomingMessage,
    res: ServerResponse,
    address: GatewayAddress,
    client: string | null,
  ): Promise<void> {
    const left = new AbortController();
    res.once('close', () => {
      if (!res.writableFinished) left.abort(new CwmError('Cancelled', 'The client left.'));
    });
    const asks = client === null ? null : this.#parts.clients.named(client);
    const ended = this.#parts.clients.ended.subscribe((name) => {
      if (asks?.name !== name || this.#parts.clients.named(name)?.tokenHash === asks.tokenHash) return;
      left.abort(new CwmError('TokenRequired', 'The token of this client was revoked.'));
    });
    res.once('close', () => ended.dispose());
    const plain = plainPath(address.path);
    const path = plain?.path ?? '';
    try {
      await (this.#restored ??= this.#restore());
      const fitting = routes.filter((route) => route.path.test(path));
      if (!plain || fitting.length === 0) throw new CwmError('RouteNotFound', `The gateway has no ${address.path}.`);
      const route = fitting.find(({ method }) => method === req.method);
      if (!route) throw new CwmError('MethodNotAllowed', `${path} has no ${req.method}.`);
      await route.pass(this.#context, {
        req,
        res,
        address: { ...address, path: path + plain.query },
        client: asks,
        signal: left.signal,
      });
    } catch (error) {
      const isTooDeep = error instanceof RangeError;
      const said = isTooDeep ? new CwmError('InvalidParameter', 'The request is nested too deeply.') : error;
      answerFailure(res, said, errorFormOf(path));
    }
  }

  clientOf(token: string): string | null {
    return this.#parts.clients.of(token)?.name ?? null;
  }

  /** Which tools a client may call over MCP. One that is gone may call the fewest. */
  toolsOf(client: string): ToolRight {
    return this.#parts.clients.named(client)?.tools ?? 'read';
  }

  /** @param listener gets each client whose token or right to tools is not what it was. */
  onClientEnded(listener: (client: string) => void): Disposable {
    return this.#parts.clients.ended.subscribe(listener);
  }

  get clientsAddress(): string | null {
    return this.#parts.clients.address;
  }

  /** @param whyTooMany why a client's request is one too many to be recorded now; null: it is none. Until then, none is. */
  limitBy(whyTooMany: (client: string) => string | null): void {
    this.#whyTooMany = whyTooMany;
  }

  /** The gateway can be reached now. */
  listensAt(url: string): void {
    this.#url = url;
  }

  /** Every client that has a token of its own or had a request. Sessions have no titles here. */
  clients(): { readonly url: string | null; readonly items: readonly Omit<ListedClient, 'lastSessionTitle'>[] } {
    const { figures, recorder } = this.#context;
    const known = this.#parts.clients.all;
    const others = figures.names.filter((name) => !known.some((client) => client.name === name));
    const items = [
      ...known.map(({ name, createdAt, records, tools }) => ({ name, createdAt, records, tools })),
      ...others.map((name) => ({ name, createdAt: null, records: true, tools: 'all' as const })),
    ];
    return {
      url: this.#url,
      items: items.map((item) => {
        const { sessions, ...figure } = figures.of(item.name);
        return { ...item, ...figure, sessions: sessions.size, unrecorded: recorder.unrecordedOf(item.name) };
      }),
    };
  }

  /** @throws CwmError InvalidParameter. */
  async putClient(
    name: string,
    change: Omit<RouteInput<'putGatewayClient'>, 'name'>,
  ): Promise<RouteOutput<'putGatewayClient'>> {
    const now = this.#parts.clock.now().toISOString();
    const { clients } = this.#parts;
    const { client, token } = await clients.put(name, change, now);
    if (this.#url !== null) await clients.setUpAt(this.#url.replace(/^http:\/\//, ''));
    return { name, records: client.records, tools: client.tools, token, url: this.#url };
  }

  /** Something happened to a session. What the gateway itself does to it is no news. */
  sessionChanged(session: string): void {
    const { recogniser, recorder } = this.#context;
    if (recorder.isRecording(session as SessionId)) return;
    this.#parts.outside.changed();
    const conversation = recogniser.known.recent.get(session as SessionId);
    if (conversation) conversation.mayBeCold = true;
  }

  /** Something happened to a project, such as that nothing of it is recorded any more. */
  projectChanged(): void {
    this.#parts.outside.changed();
  }

  /** A failure costs only the recognition of earlier conversations. */
  async #restore(): Promise<void> {
    const { outside, onFailure } = this.#parts;
    try {
      const damaged = await this.#journal.restore(this.#context.recogniser, await outside.sessions());
      if (damaged > 0) {
        const error = new CwmError(
          'Corrupted',
          `Lines of gateway/said.jsonl that are damaged: ${damaged}. They are in said.jsonl.damaged.`,
        );
        onFailure(error, 'some earlier conversations of clients are not recognised');
      }
    } catch (error) {
      onFailure(error, 'earlier conversations of clients could not be read');
    }
  }

  /** Resolves when everything that passed is stored, or cannot be. */
  settled(): Promise<void> {
    return this.#context.recorder.settled();
  }

  async close(): Promise<void> {
    await this.#context.upstream.close();
    await this.#context.recorder.close();
    this.#context.spellings.close();
    this.#index.close();
  }
}
