import * as z from 'zod/mini';
import type { AuditEvent } from '../schemas/audit.ts';

/**
 * One operation as it crosses the socket, and what it is: server, clients, audit log and read-only stores decide by these facts and
 * never by the HTTP verb.
 *
 * The path's `:name` parameters come from the input's fields of that name; what is left goes into the query (GET, DELETE) or the
 * JSON body (POST).
 */
export interface Route<In extends z.ZodMiniType = z.ZodMiniType, Out extends z.ZodMiniType = z.ZodMiniType> {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly input: In;
  readonly output: Out;
  /**
   * `read`: changes nothing. A client repeats it when the connection broke; nothing limits how many run at once.
   * `change`: counts against the limits on operations and on the client's changes a minute; a read-only store refuses it.
   */
  readonly kind: 'read' | 'change';
  /** It reports its progress, or an answer's text, while it works. */
  readonly streams?: true;
  /** How the audit log names a refusal of it. Default: a refusal is recorded only when the input was invalid or access was denied. */
  readonly audited?: AuditEvent;
  /** A change that a read-only store answers all the same: it decides by itself what to leave out. */
  readonly allowedReadOnly?: true;
  /** A change that no limit refuses. */
  readonly unlimited?: true;
  /** `own`: refused to programs that act without a person, since it ends others' work or cannot be undone. Default: any. */
  readonly clients?: 'own';
}

/** Infers the schemas' types, which `satisfies` alone would widen. */
export const route = <In extends z.ZodMiniType, Out extends z.ZodMiniType>(facts: Route<In, Out>): Route<In, Out> =>
  facts;

export const text = z.string();
export const flag = z.optional(z.boolean());
export const queryFlag = z.optional(z.union([z.boolean(), z.stringbool()]));
export const page = { limit: z.optional(z.coerce.number()), offset: z.optional(z.coerce.number()) };
export const nothing = z.object({});

/** A request that may name its engine: a URL, `embedded` or `embedded:FILE`. Default: the session's or window's own. */
export const onEngine = { engine: z.optional(text) };
