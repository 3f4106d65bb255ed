import * as z from 'zod/mini';
import { answerChunksSchema } from '../schemas/answerChunk.ts';
import { sessionSchema } from '../schemas/session.ts';
import { primeResultSchema, sendResultSchema } from '../schemas/turn.ts';
import { continueFromChoices } from '../settings/sessionChoices.ts';
import { flag, onEngine, queryNumber, text } from './fields.ts';
import type { Route, ShapesOf } from './route.ts';

export const turnRoutes = {
  send: { kind: 'change', streams: true, method: 'POST', path: '/api/contexts/:session/messages' },
  /** Allows tool calls that the session waits with; once each is decided on, the turn goes on. */
  approveTools: {
    kind: 'change',
    streams: true,
    clients: 'own',
    method: 'POST',
    path: '/api/contexts/:session/tools/approve',
  },
  denyTools: { kind: 'change', streams: true, method: 'POST', path: '/api/contexts/:session/tools/deny' },
  /** Answers a question that the model asks; once nothing else waits, the turn goes on. */
  answerQuestion: { kind: 'change', streams: true, method: 'POST', path: '/api/contexts/:session/tools/answer' },
  /** The session acts from now on, and the model is told to carry out the plan, which is the last message. */
  acceptPlan: { kind: 'change', streams: true, method: 'POST', path: '/api/contexts/:session/plan/accept' },
  /** Stops the turn that runs, or ends the one that waits for a decision. What came of an answer stays. */
  cancelTurn: { kind: 'change', unlimited: true, method: 'POST', path: '/api/contexts/:session/cancel' },
  /** Chunks of an answer while it comes; the whole message once it is stored. */
  answerChunks: { kind: 'read', method: 'GET', path: '/api/contexts/:session/messages/:message/chunks' },
  /** `paths` are absolute, or relative to `cwd`. It reads any file of the user's, and the conversation then shows it. */
  prime: { kind: 'change', streams: true, clients: 'socket', method: 'POST', path: '/api/contexts/:session/files' },
} as const satisfies Record<string, Route>;

const answering = () => ({
  maxTokens: z.optional(z.number()),
  temperature: z.optional(z.number()),
  ...onEngine,
});

/** `calls`: ids of the calls. Default: all that wait; a question is not approved, but answered. */
const deciding = () => ({ calls: z.optional(z.array(text)), ...answering() });

export const turnShapes = () =>
  ({
    send: {
      summary: 'Send a message and get the answer',
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
        /**
         * `required`: the answer begins with a tool call; else the name of the tool that it calls. Engines that can have the arguments follow
         * their schema. Default `auto`: the model decides.
         */
        toolChoice: z.optional(text),
        ...onEngine,
      }),
      output: sendResultSchema,
    },
    approveTools: {
      summary: 'Allow tool calls that wait',
      input: z.object({
        session: text,
        ...deciding(),
        /** From now on these tools need no approval in this session, unless they are dangerous. */
        forSession: flag,
      }),
      output: sendResultSchema,
    },
    denyTools: {
      summary: 'Refuse tool calls that wait',
      input: z.object({ session: text, ...deciding(), /** What the model is told. */ reason: z.optional(text) }),
      output: sendResultSchema,
    },
    answerQuestion: {
      summary: 'Answer a question that the model asks',
      input: z.object({
        session: text,
        /** Id of the call that asks. Default: the first one that waits. */
        call: z.optional(text),
        /** One of the choices, or any other text. */
        answer: text,
        ...answering(),
      }),
      output: sendResultSchema,
    },
    acceptPlan: {
      summary: 'Accept the plan that the last answer is, and have it carried out',
      input: z.object({
        session: text,
        /** The message to the model. Default: that it may carry out the plan. */
        text: z.optional(text),
        ...answering(),
      }),
      output: sendResultSchema,
    },
    cancelTurn: {
      summary: 'Stop the turn that runs or waits',
      input: z.object({ session: text }),
      output: sessionSchema,
    },
    answerChunks: {
      summary: 'Chunks of an answer while it comes; then the whole message',
      input: z.object({
        session: text,
        message: text,
        /** Sequence of the last chunk that the client has. Default 0: it has none. */
        after: queryNumber,
        /** 1 to 100, the default. */
        limit: queryNumber,
      }),
      output: answerChunksSchema,
    },
    prime: {
      summary: 'Add files to the context',
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
