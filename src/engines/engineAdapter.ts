import type { Engine } from '../core/ports/engine.ts';
import type { PlaceKind } from '../protocol/engineSpec.ts';
import type { Connect } from './http/address.ts';
import type { Link } from './http/link.ts';
import type { Sleep } from './http/timing.ts';

/** What an adapter makes an engine of. */
export interface AdapterOptions {
  readonly spec: string;
  readonly connect: Connect;
  /** Absolute paths, URLs and names by what a spec calls them: `http://host#slots=/path&model=NAME`. */
  readonly places: Readonly<Record<string, string>>;
  /** Where the client found a place that the spec does not name, in words, by the place's name. */
  readonly foundIn?: Readonly<Record<string, string>>;
  /** How it waits before it asks again; default: by the clock. */
  readonly sleep?: Sleep;
  /** Its start options that decide what KV is worth, where its process could be looked at; empty for none, absent where nobody knows. */
  readonly kvOptions?: string | undefined;
  /** Sockets that the server's command line names and the spec does not. They are used only where the spec names them. */
  readonly offered?: Readonly<Record<string, string>>;
}

/** One kind of model server. Adapters know nothing of each other: a new one is added to the list, and that is all. */
export interface EngineAdapter {
  /** What belongs to such a server and a spec may name, because no server tells where it is. */
  readonly places: Readonly<Record<string, PlaceKind>>;

  /** The folders that the command line of such a server names, as they stand there, by the names of places. */
  foldersIn?(args: readonly string[]): Readonly<Record<string, string>>;

  /** `locate` of its engine reaches a folder that was found only after a file that the server was asked to write appeared there. */
  readonly triesFolders?: true;

  /** Start options that decide what KV is worth and that the server does not report, in words; empty for none. */
  kvOptionsIn?(args: readonly string[], variables: Readonly<Record<string, string>>): string;

  /** Names of variables of its process that {@link kvOptionsIn} needs. No other is looked at. */
  readonly kvVariables?: RegExp;

  /** The same of sockets. */
  socketsIn?(args: readonly string[]): Readonly<Record<string, string>>;

  /**
   * Whether the server there is of this kind. Asks only what computes nothing.
   *
   * @throws CwmError EngineUnavailable, EngineFailed, EngineDenied, EngineTimeout, Cancelled: the answer is unknown for now.
   */
  recognises(link: Link, signal: AbortSignal): Promise<boolean>;

  /** Where its engine describes the server as it did before, no server of another kind can have taken its place: nobody else answers so. */
  readonly describesOnlyItself?: true;

  create(options: AdapterOptions): Engine;
}
