import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../base/clock.ts';
import type { ClientTurns } from '../core/sessions/memory/clientTurns.ts';
import type { OutsideTurns } from '../core/sessions/outside/outsideTurns.ts';
import type { GatewayAddress } from './address.ts';
import type { Client } from './clients/clients.ts';
import type { Figures } from './clients/figures.ts';
import type { Targets } from './engines.ts';
import type { Talks } from './memory/talks.ts';
import type { FirstBytes } from './passing/firstBytes.ts';
import type { Healing } from './passing/heal.ts';
import type { OnePlace } from './passing/onePlace.ts';
import type { Upstream } from './passing/upstream.ts';
import type { Recogniser } from './recognition/recogniser.ts';
import type { RecentAnswers } from './recording/recentAnswers.ts';
import type { Recorder } from './recording/recorder.ts';

/** What every route of the gateway uses. */
export interface GatewayContext {
  readonly outside: OutsideTurns;
  readonly clientTurns: ClientTurns;
  readonly talks: Talks;
  readonly targets: Targets;
  readonly upstream: Upstream;
  readonly recogniser: Recogniser;
  readonly recorder: Recorder;
  readonly recent: RecentAnswers;
  readonly place: OnePlace;
  readonly first: FirstBytes;
  readonly healing: Healing;
  readonly figures: Figures;
  readonly clock: Clock;
  /** Why a client's request is one too many to be recorded now; null: it is none. */
  readonly whyTooMany: (client: string) => string | null;
  /** What cannot be recognised or recorded passes all the same. */
  readonly onFailure: (error: unknown, what: string) => void;
}

/** One request of a client. */
export interface GatewayRequest {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly address: GatewayAddress;
  /** The client whose token it has; null: it has the token of the file. */
  readonly client: Client | null;
  /** Aborted when the client leaves. */
  readonly signal: AbortSignal;
}
