import * as z from 'zod/mini';

/** What a running backend says about itself in `<storage>/backend.json`: how clients find it. */
export const backendRecordSchema = z.object({
  pid: z.number(),
  version: z.string(),
  /** Versions of the control API that it answers. */
  api: z.optional(z.object({ current: z.number(), oldest: z.number() })),
  /** Path of a Unix domain socket, or of a named pipe on Windows. */
  address: z.string(),
  startedAt: z.string(),
  /** The bearer token that a request must carry when the address alone does not exclude other users (named pipes). */
  token: z.optional(z.string()),
});
export type BackendRecord = z.infer<typeof backendRecordSchema>;

export const backendRecordFile = 'backend.json';
/** JSON lines, and the process' own output to stdout and stderr. */
export const backendLogFile = 'backend.log';

/** Exit status of a backend that found another one holding the storage directory: not a failure, use that one. */
export const alreadyRunningExitCode = 75;

/** Request header with what the client says it is: its kind and its process, like `cli.4711`. */
export const clientHeader = 'x-cwm-client';

/** Request header with the version of the control API that the client speaks. */
export const apiHeader = 'x-cwm-api';

/** Request header with the API key of a model server that is named by its URL. Kept in memory only. */
export const engineKeyHeader = 'x-cwm-engine-key';

/** What became of a store in another place: it was moved here, this place links to it, or neither. */
export const takenOver = ['moved', 'linked', 'none'] as const;
export type TakenOver = (typeof takenOver)[number];
