import { hmacSha256Hex } from '../base/hash.ts';
import { readFields } from '../base/fields.ts';
import type { ApiVersions } from './version.ts';

/** What a running backend says about itself in `<storage>/backend.json`: how clients find it. */
export interface BackendRecord {
  pid: number;
  version: string;
  /** Versions of the control API that it answers. */
  api?: ApiVersions | undefined;
  /** Path of a Unix domain socket, or of a named pipe on Windows. */
  address: string;
  startedAt: string;
  /** Name of the machine that it runs on. Older backends leave it out. */
  host?: string | undefined;
  /** `http://HOST:PORT`, where it answers on TCP too. */
  http?: string | undefined;
  /** The bearer token that a request must carry. Older backends have it on Windows only. */
  token?: string | undefined;
}

/** Null for what is no record. A backend of another version may say more of itself. */
export function parseBackendRecord(value: unknown): BackendRecord | null {
  const table = {
    pid: 'number',
    version: 'string',
    address: 'string',
    startedAt: 'string',
    host: 'string?',
    http: 'string?',
    token: 'string?',
  } as const;
  const record = readFields(value, table);
  const given = (value as { api?: unknown } | null)?.api;
  if (given === undefined || record === null) return record;
  const api = readFields(given, { current: 'number', oldest: 'number' });
  return api && { ...record, api };
}

/** Where a backend proves that it knows the token, before a client sends anything else on a connection. */
export const challengePath = '/api/challenge';

/**
 * Proves that its maker knows the token and listens at this address. With the address in it, a program at another address cannot pass the
 * question on to the backend and the answer back.
 *
 * @param nonce the asker's own random text, used once.
 */
export const backendProof = (token: string, address: string, nonce: string): string =>
  hmacSha256Hex(token, `cwm backend proof 1\n${address}\n${nonce}`);

export const backendRecordFile = 'backend.json';

/** Beside the log: what the last end of a backend came to, for the client that asked for it. Absent where nothing was lost. */
export const lastEndFile = 'last-end.json';

/** Sessions whose last turns a backend had no time to save. */
export interface LastEnd {
  /** The process that ended. */
  readonly pid: number;
  /** The time that there was for all sessions, in milliseconds. */
  readonly limitMs: number;
  /** `tokens`: that no checkpoint has. `computeMs`: what computing them should take; left out where that is not known. */
  readonly unsaved: readonly { session: string; tokens: number; computeMs?: number | undefined }[];
}

/** Null for what is none. */
export function parseLastEnd(value: unknown): LastEnd | null {
  const end = readFields(value, { pid: 'number', limitMs: 'number' });
  const given = (value as { unsaved?: unknown } | null)?.unsaved;
  if (!end || !Array.isArray(given)) return null;
  const table = { session: 'string', tokens: 'number', computeMs: 'number?' } as const;
  return { ...end, unsaved: given.flatMap((one: unknown) => readFields(one, table) ?? []) };
}
/** A longer file is none. */
export const mostBackendRecordBytes = 64 * 1024;
/** Where the token of clients over TCP lies, unless a setting names another file. */
export const httpTokenFile = 'http-token';
/** JSON lines, and the process' own output to stdout and stderr. */
export const backendLogFile = 'backend.log';

/** Exit status of a backend that found another one holding the storage directory: not a failure, use that one. */
export const alreadyRunningExitCode = 75;

/** Request header with what the client says it is: its kind and its process, like `cli.4711`. */
export const clientHeader = 'x-cwm-client';

/** Request header with the version of the control API that the client speaks. */
export const apiHeader = 'x-cwm-api';

/** On the socket: names the model server that a request of the gateway is for, its URI components encoded. */
export const engineHeader = 'x-cwm-engine';
/** Request header with the API key of a model server that is named by its URL. Kept in memory only. */
export const engineKeyHeader = 'x-cwm-engine-key';
/** Request header with the URL of the server that the key is for; without it, it is for the server of new sessions. */
export const engineKeyForHeader = 'x-cwm-engine-key-for';

/** What became of a store in another place: it was moved here, this place links to it, or neither. */
export const takenOver = ['moved', 'linked', 'none'] as const;
export type TakenOver = (typeof takenOver)[number];
