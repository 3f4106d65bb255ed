import { AsyncLocalStorage } from 'node:async_hooks';
import { parseEngineKey } from '../protocol/schemas/engineKey.ts';
import { isCwmError } from '../protocol/errors.ts';

/** Facts about the current request. All code that runs inside {@link withRequest} can read them without a parameter. */
export interface RequestScope {
  /** As {@link clientName} made it. */
  readonly client: string;
  /** Kind of client that the tokens of the request count for. Default: the client's. */
  readonly source?: string | undefined;
  /** Whose changes this client's count among. Default: its own. */
  readonly rateOwner?: string | undefined;
  /** API key that the client sent for a model server. It lives only as long as the request and what that left to be done. */
  readonly engineKey?: string | undefined;
  /** URL of the server that the key is for. Default: the one that new sessions use. */
  readonly engineKeyFor?: string | undefined;
  /** Facts that every log line of the request has. */
  readonly facts?: Readonly<Record<string, string>> | undefined;
}

const scope = new AsyncLocalStorage<RequestScope>();

/** The audit log's name for the backend's own work. */
const ownName = 'backend';
const anonymous = 'unnamed';

/** Inside another request's work, fields that `request` lacks stay as they are. */
export const withRequest = <T>(request: RequestScope, work: () => Promise<T>): Promise<T> =>
  scope.run({ ...scope.getStore(), ...request }, work);

/** Of no request, even if it is called inside one: a listener that a request opened answers other clients' requests. */
export const outsideRequests = <T>(work: () => T): T => scope.exit(work);

/** The work, to be run later as a part of the current request. */
export const inThisRequest = <Work extends (...given: never[]) => unknown>(work: Work): Work =>
  AsyncLocalStorage.bind(work);

/** The log's facts about the current request; empty for the backend's own work. */
export const currentFacts = (): Readonly<Record<string, string>> => scope.getStore()?.facts ?? {};

/** The client of the current request, by its own account. */
export const currentClient = (): string => scope.getStore()?.client ?? ownName;

/**
 * The API key for the model server at a URL: the current request's, else the backend's own from `CWM_API_KEY`. A key belongs to one server. A folder's
 * configuration can name another one, which must not see it.
 *
 * @param usual the spec of new sessions: a key that names no server is for that one. `own` is the one that the backend was started with.
 */
export function engineKeyFor(url: string, usual: { readonly now: string; readonly own: string }): string | undefined {
  const request = scope.getStore();
  if (request?.engineKey && isSameServer(url, request.engineKeyFor ?? usual.now)) return request.engineKey;
  return isSameServer(url, process.env['CWM_API_KEY_FOR'] || usual.own) ? ownEngineKey() : undefined;
}

/** A spec that is no URL is no server that wants a key. */
function isSameServer(one: string, other: string): boolean {
  return (
    URL.canParse(one) &&
    URL.canParse(other) &&
    new URL(one).host !== '' &&
    new URL(one).origin === new URL(other).origin
  );
}

/**
 * A key that no header can carry counts as none: the client that started the backend with it got an error, and other clients do not
 * need it.
 */
function ownEngineKey(): string | undefined {
  try {
    return parseEngineKey(process.env['CWM_API_KEY']);
  } catch (error) {
    if (isCwmError(error, 'InvalidParameter')) return undefined;
    throw error;
  }
}

/** A client's name in the form that logs may show: its kind, and a number or the like that distinguishes two clients of one kind. */
export const clientName = (header: string | undefined): string =>
  header !== undefined && namePattern.test(header) && clientKind(header) !== ownName ? header : anonymous;

const namePattern = /^[a-z][a-z-]{0,15}(?:\.[A-Za-z0-9-]{1,40})?$/;

/** `cli` of `cli.4711`. */
export const clientKind = (client: string): string => client.split('.')[0] ?? '';

/** For whom the tokens of the current request count. */
export const currentSource = (): string => scope.getStore()?.source ?? clientKind(currentClient());

/** Every client over TCP, whatever it says of itself: the socket is how the user's own clients come. */
export const httpClientKind = 'http';

/** MCP servers, clients over TCP, and programs of other people that name themselves a gateway: ours has limits of its own. */
const agentKinds: ReadonlySet<string> = new Set(['mcp', 'gateway', httpClientKind]);

/**
 * Whether the client is a program that acts without a person. A client names itself, so this stops a program that runs away, not an
 * attacker: every program that can open the socket runs as the user. Clients over TCP all count as such programs.
 */
export const isAgent = (client: string): boolean => agentKinds.has(clientKind(client));
