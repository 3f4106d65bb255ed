import { readFields } from '../base/fields.ts';

/** Path of the event stream (SSE): each event's data is a {@link Signal}, its id the sequence. */
export const eventsPath = '/api/events';

/** What changed, never the data itself: the client pulls that (S4-40). */
export type Change =
  /**
   * A session's record, or that the session is gone or back. `version`: that of the record, where it has one. `phase`: of its turn at that
   * moment; a client that pulls may see a later one.
   */
  | { type: 'session'; session: string; version?: number | undefined; phase?: string | undefined }
  /** What clients store with a session, its recovery points, or whether it is selected. */
  | { type: 'state'; session: string }
  | { type: 'window'; window: string }
  | { type: 'engine'; spec: string }
  | { type: 'project'; project: string }
  /** A client of the gateway: its token, what it may do, or that it is gone. */
  | { type: 'client'; client: string }
  | { type: 'heartbeat' }
  | { type: 'resync' };

/**
 * The same for programs of other people, under the names that the API has for them (`GET /api/events?named=true`). It is the event's name and its
 * data; ids are those of the session, the message and the call.
 */
export type NamedEvent =
  /** `new_state`: the phase of the turn; null: the session is gone or back. */
  | { name: 'StateChanged'; data: { context_id: string; new_state: string | null; version?: number | undefined } }
  /** An answer that begins, or another message that is stored. */
  | { name: 'MessageCreated'; data: { context_id: string; message_id: string; role: string } }
  /** An answer is stored, whole or cut. */
  | { name: 'MessageCompleted'; data: { context_id: string; message_id: string } }
  /** A piece of an answer, by the number under which it can be pulled. Only for those who ask for it, and not repeated. */
  | { name: 'ContentDelta'; data: { context_id: string; message_id: string; delta: string; sequence: number } }
  | { name: 'ToolCallRequested'; data: { context_id: string; call_id: string; tool: string } }
  | { name: 'TitleUpdated'; data: { context_id: string } }
  | { name: 'TrackerChanged'; data: { context_id: string } }
  | { name: 'WindowChanged'; data: { window: string } }
  | { name: 'EngineChanged'; data: { engine: string } }
  | { name: 'ProjectChanged'; data: { project: string } }
  | { name: 'ClientChanged'; data: { client: string } }
  | { name: 'Heartbeat'; data: { timestamp: string } }
  /** Events are missing: pull everything. */
  | { name: 'Resync'; data: Record<string, never> };

/**
 * A signal is under 1 KB. `sequence` grows by one with each signal of a backend. A client that reconnects with `Last-Event-ID` gets the
 * signals it missed, or one `resync` when they are gone.
 */
export interface Signal {
  sequence: number;
  change: Change;
}

/** `record`: as it is now, perhaps with a phase that no write tells of. Default: the session is gone or back. */
export const sessionChange = (id: string, record?: { readonly version: number; readonly phase: string }): Change => ({
  type: 'session',
  session: id,
  ...(record && { version: record.version, phase: record.phase }),
});
const changeFields = {
  session: { session: 'string', version: 'number?', phase: 'string?' },
  state: { session: 'string' },
  window: { window: 'string' },
  engine: { spec: 'string' },
  project: { project: 'string' },
  client: { client: 'string' },
  heartbeat: {},
  resync: {},
} as const satisfies Record<Change['type'], object>;

/** Null for what is no signal of a known type: a later backend may have more of them. */
export function readSignal(value: unknown): Signal | null {
  const sequence = readFields(value, { sequence: 'number' })?.sequence;
  const change = (value as { change?: unknown } | null)?.change;
  const type = readFields(change, { type: 'string' })?.type ?? '';
  if (sequence === undefined || !Object.hasOwn(changeFields, type)) return null;
  const fields = readFields(change, changeFields[type as Change['type']]);
  return fields && { sequence, change: { type, ...fields } as Change };
}
