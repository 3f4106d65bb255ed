import type * as z from 'zod/mini';
import type { AuditEvent } from '../schemas/audit.ts';

/**
 * What one operation is as it crosses the socket: server, clients, audit log and read-only stores decide by these facts and never by
 * the HTTP verb. Its shapes stand beside it, in a function that only the backend calls: a client carries no schemas.
 *
 * The path's `:name` parameters come from the input's fields of that name; what is left goes into the query (GET, DELETE) or the
 * JSON body (POST, PUT).
 */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  /**
   * `read`: changes nothing. A client repeats it when the connection broke; nothing limits how many run at once.
   * `change`: counts against the limits on operations and on the client's changes a minute; a read-only store refuses it.
   */
  readonly kind: 'read' | 'change';
  /** It makes something that has an address of its own from then on: 201 instead of 200. An answer with nothing in it is 204. */
  readonly creates?: true;
  /** The answer is the output's `text` in this media type, instead of JSON. */
  readonly answersText?: string;
  /** It reports its progress, or an answer's text, while it works. */
  readonly streams?: true;
  /** How the audit log names a refusal of it. Default: a refusal is recorded only when the input was invalid or access was denied. */
  readonly audited?: AuditEvent;
  /** A change that a read-only store answers all the same: it decides by itself what to leave out. */
  readonly allowedReadOnly?: true;
  /** A change that no limit refuses. */
  readonly unlimited?: true;
  /**
   * `own`: refused to programs that act without a person and to clients over TCP, since it ends others' work or cannot be undone.
   * `socket`: refused to clients over TCP. Default: any.
   */
  readonly clients?: 'own' | 'socket';
}

/** What goes in and what comes out. The backend checks both, and describes them. */
export interface RouteShape {
  /** What the operation does, in the words of somebody who calls it for the first time. */
  readonly summary: string;
  readonly input: z.ZodMiniObject;
  readonly output: z.ZodMiniType;
}

/** A shape for each of the routes, and for nothing else. */
export type ShapesOf<Routes> = Readonly<Record<keyof Routes, RouteShape>>;
