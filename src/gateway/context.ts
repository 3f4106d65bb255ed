import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../base/clock.ts';
import type { ClientTurns } from '../core/sessions/memory/clientTurns.ts';
import type { OutsideTurns } from '../core/sessions/outside/outsideTurns.ts';
import type { GatewayAddress } from './address.ts';
import type { Client } from './clients/clients.ts';
import type { Figures } from './clients/figures.ts';
import type { Targets } from './targets.ts';
import type { Talks } from './memory/talks.ts';
import type { FirstSpellings } from './passing/firstSpellings.ts';
import type { Healing } from './passing/heal.ts';
import type { Places } from './passing/places.ts';
import type { Upstream } from './passing/upstream.ts';
import type { Recogniser } from './recognition/recogniser.ts';
import type { RecentAnswers } from './recording/recentAnswers.ts';
import type { Recorder } from './recording/recorder.ts';

/** What every route of the gateway uses. */
export interface GatewayContext {
  /** Sessions, projects and the KV of model servers, as the core has them for conversations whose prompts another program makes. */
  readonly outside: OutsideTurns;
  /** Turns of conversations with memory, whose prompts the core makes. */
  readonly clientTurns: ClientTurns;
  /** Which conversation with memory a request continues. */
  readonly talks: Talks;
  /** The model servers, and what each of them is. */
  readonly targets: Targets;
  /** The connections to them. */
  readonly upstream: Upstream;
  /** Which conversation without memory a request continues. */
  readonly recogniser: Recogniser;
  /** Makes sessions of conversations, behind the answers. */
  readonly recorder: Recorder;
  /** Answers that a client may continue by their ids, in memory. */
  readonly recentAnswers: RecentAnswers;
  /** Who waits for a slot of a model server, or for a session with memory. */
  readonly places: Places;
  /** How each message was spelled first, which is what the model server can reuse. */
  readonly spellings: FirstSpellings;
  /** Whether first spellings and first system prompts take the place of later ones. */
  readonly healing: Healing;
  /** What `cwm clients` shows. */
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
