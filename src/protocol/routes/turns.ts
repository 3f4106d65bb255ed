import * as z from 'zod/mini';
import { answerChunksSchema } from '../schemas/answerChunk.ts';
import { primeResultSchema, sendResultSchema } from '../schemas/turn.ts';
import { continueFromChoices } from '../settings/sessionChoices.ts';
import { onEngine, text } from './fields.ts';
import type { Route, ShapesOf } from './route.ts';

export const turnRoutes = {
  send: { kind: 'change', streams: true, method: 'POST', path: '/api/contexts/:session/messages' },
  /** Chunks of an answer while it comes; the whole message once it is stored. */
  answerChunks: { kind: 'read', method: 'GET', path: '/api/contexts/:session/messages/:message/chunks' },
  /** `paths` are absolute, or relative to `cwd`. It reads any file of the user's, and the conversation then shows it. */
  prime: { kind: 'change', streams: true, clients: 'socket', method: 'POST', path: '/api/contexts/:session/files' },
} as const satisfies Record<string, Route>;

export const turnShapes = () =>
  ({
    send: {
      input: z.object({
        session: text,
        text,
        /** Pictures in base64: PNG, JPEG, GIF or WebP; at most 8, of 5 MiB each and 10 MiB together. */
        images: z.optional(z.array(text)),
        maxTokens: z.optional(z.number()),
        /** 0 to 2; default 0, greedy. */
        temperature: z.optional(z.number()),
        /** `template` renders the whole conversation again, this time. Default: as the backend is set. */
        continueFrom: z.optional(z.enum(continueFromChoices)),
        ...onEngine,
      }),
      output: sendResultSchema,
    },
    answerChunks: {
      input: z.object({
        session: text,
        message: text,
        /** Sequence of the last chunk that the client has. Default 0: it has none. */
        after: z.optional(z.coerce.number()),
        /** 1 to 100, the default. */
        limit: z.optional(z.coerce.number()),
      }),
      output: answerChunksSchema,
    },
    prime: {
      input: z.object({
        session: text,
        paths: z.array(text),
        cwd: z.optional(text),
        /** What else is left out of folders, and by whom: rules in the form of a `.gitignore` in `cwd`. A file of `paths` is always read. */
        exclude: z.optional(z.array(z.object({ by: text, rules: text }))),
        /** Limit on the files' tokens: the answer names the files that were left out. Default: what fits into the model's context. */
        maxTokens: z.optional(z.number()),
        ...onEngine,
      }),
      output: primeResultSchema,
    },
  }) as const satisfies ShapesOf<typeof turnRoutes>;
