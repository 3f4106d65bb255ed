import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../base/clock.ts';
import type { OutsideTurns } from '../core/sessions/outsideTurns.ts';
import { CwmError } from '../protocol/errors.ts';
import type { GatewayAddress } from './address.ts';
import type { GatewayContext, GatewayRequest } from './context.ts';
import { Targets, type GatewayEngines } from './engines.ts';
import { answerFailure, errorFormOf } from './passing/failures.ts';
import { Upstream } from './passing/upstream.ts';
import { Recorder } from './recording/recorder.ts';
import { Recogniser } from './recognition/recogniser.ts';
import { passChat } from './routes/chat.ts';
import { passThrough } from './routes/through.ts';

export interface GatewayParts {
  readonly outside: OutsideTurns;
  readonly engines: GatewayEngines;
  readonly clock: Clock;
  readonly onFailure: (error: unknown, what: string) => void;
}

type Pass = (gateway: GatewayContext, request: GatewayRequest) => Promise<void>;

/** Every route that clients can use; nothing else of a model server is reachable. */
const routes: readonly { readonly method: string; readonly path: RegExp; readonly pass: Pass }[] = [
  { method: 'GET', path: /^\/v1\/models(\/[^/]+)?$/, pass: passThrough },
  { method: 'POST', path: /^\/v1\/chat\/completions$/, pass: passChat },
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

  constructor({ outside, engines, clock, onFailure }: GatewayParts) {
    const recorder = new Recorder({
      outside,
      clock,
      onStored: () => undefined,
      onFailure: (error) => onFailure(error, 'a conversation of a client could not be recorded'),
    });
    this.#context = {
      outside,
      clock,
      recorder,
      targets: new Targets(engines, clock),
      upstream: new Upstream(),
      recogniser: new Recogniser(),
    };
  }

  /** Answers a request that may come in. Never rejects. */
  async handle(req: IncomingMessage, res: ServerResponse, address: GatewayAddress): Promise<void> {
    const left = new AbortController();
    res.once('close', () => {
      if (!res.writableFinished) left.abort(new CwmError('Cancelled', 'The client left.'));
    });
    const [path = ''] = address.path.split('?', 1);
    try {
      const fitting = routes.filter((route) => route.path.test(path));
      if (fitting.length === 0) throw new CwmError('RouteNotFound', `The gateway has no ${path}.`);
      const route = fitting.find(({ method }) => method === req.method);
      if (!route) throw new CwmError('MethodNotAllowed', `${path} has no ${req.method}.`);
      await route.pass(this.#context, { req, res, address, signal: left.signal });
    } catch (error) {
      answerFailure(res, error, errorFormOf(path));
    }
  }

  /** Resolves when everything that passed is stored, or cannot be. */
  settled(): Promise<void> {
    return this.#context.recorder.settled();
  }

  async close(): Promise<void> {
    await this.#context.upstream.close();
    await this.settled();
  }
}
