import type { Clock } from '../base/clock.ts';
import { KeyedQueue } from '../base/serialQueue.ts';
import type { PrimeResult, RouteInput, RouteOutput, SendResult } from '../protocol/api.ts';
import { parseSessionId, type SessionId } from '../protocol/ids.ts';
import type { Receipt } from '../protocol/receipt.ts';
import type { Session } from '../protocol/session.ts';
import type { Changes } from './changes.ts';
import { clone } from './clone.ts';
import type { CoreContext } from './context.ts';
import { freeze } from './freeze.ts';
import type { ContextFileReader } from './ports/contextFiles.ts';
import type { EngineRegistry } from './ports/engineRegistry.ts';
import type { Store } from './ports/store.ts';
import { PrefillRates } from './prefillRates.ts';
import { prime } from './prime.ts';
import {
  activateSession,
  activeSession,
  createSession,
  deleteSession,
  listMessages,
  listSessions,
  recoverInterrupted,
  requireSession,
} from './sessions.ts';
import { thaw } from './thaw.ts';
import { send } from './turns.ts';
import { verify } from './verify.ts';
import { deleteWindow, getWindow, listWindows } from './windows.ts';

export interface CwmParts {
  readonly store: Store;
  readonly engines: EngineRegistry;
  readonly files: ContextFileReader;
  readonly clock: Clock;
  readonly changes: Changes;
}

/** What can be asked of the core: one method for each route of the control API that concerns the domain. */
export class Cwm {
  readonly #core: CoreContext;

  constructor(parts: CwmParts) {
    this.#core = { ...parts, prefill: new PrefillRates(), turns: new KeyedQueue<SessionId>() };
  }

  /** To be called once, before anything else is asked. @returns ids of the sessions whose turn a crash had interrupted. */
  recover(): Promise<string[]> {
    return recoverInterrupted(this.#core);
  }

  createSession(input: RouteInput<'createSession'>): Promise<Session> {
    return createSession(this.#core, input);
  }

  listSessions(input: RouteInput<'listSessions'>): Promise<RouteOutput<'listSessions'>> {
    return listSessions(this.#core, input);
  }

  async getSession(input: RouteInput<'getSession'>): Promise<Session> {
    return requireSession(this.#core, parseSessionId(input.session));
  }

  deleteSession(input: RouteInput<'deleteSession'>, signal: AbortSignal): Promise<RouteOutput<'deleteSession'>> {
    return deleteSession(this.#core, input, signal);
  }

  listMessages(input: RouteInput<'listMessages'>): Promise<RouteOutput<'listMessages'>> {
    return listMessages(this.#core, input);
  }

  send(input: RouteInput<'send'>, signal: AbortSignal): Promise<SendResult> {
    return send(this.#core, input, signal);
  }

  prime(input: RouteInput<'prime'>, signal: AbortSignal): Promise<PrimeResult> {
    return prime(this.#core, input, signal);
  }

  freeze(input: RouteInput<'freeze'>, signal: AbortSignal): Promise<Receipt> {
    return freeze(this.#core, input, signal);
  }

  thaw(input: RouteInput<'thaw'>, signal: AbortSignal): Promise<Receipt> {
    return thaw(this.#core, input, signal);
  }

  clone(input: RouteInput<'clone'>, signal: AbortSignal): Promise<Receipt> {
    return clone(this.#core, input, signal);
  }

  listWindows(input: RouteInput<'listWindows'>): Promise<RouteOutput<'listWindows'>> {
    return listWindows(this.#core, input);
  }

  getWindow(input: RouteInput<'getWindow'>): Promise<RouteOutput<'getWindow'>> {
    return getWindow(this.#core, input);
  }

  deleteWindow(input: RouteInput<'deleteWindow'>, signal: AbortSignal): Promise<RouteOutput<'deleteWindow'>> {
    return deleteWindow(this.#core, input, signal);
  }

  verify(input: RouteInput<'verify'>, signal: AbortSignal): Promise<RouteOutput<'verify'>> {
    return verify(this.#core, input, signal);
  }

  activeSession(input: RouteInput<'activeSession'>): Promise<RouteOutput<'activeSession'>> {
    return activeSession(this.#core, input);
  }

  activateSession(input: RouteInput<'activateSession'>): Promise<RouteOutput<'activateSession'>> {
    return activateSession(this.#core, input);
  }
}
