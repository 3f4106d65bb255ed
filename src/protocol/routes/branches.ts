import * as z from 'zod/mini';
import { branchComparisonSchema, branchSummarySchema } from '../schemas/branch.ts';
import { mergeWays } from '../settings/sessionChoices.ts';
import { sessionSchema } from '../schemas/session.ts';
import { sendResultSchema } from '../schemas/turn.ts';
import { flag, onEngine, text } from './fields.ts';
import type { Route, ShapesOf } from './route.ts';

export const branchRoutes = {
  listBranches: { kind: 'read', method: 'GET', path: '/api/contexts/:session/branches' },
  /** At a message of the session; its messages up to there are shared. */
  createBranch: { kind: 'change', creates: true, method: 'POST', path: '/api/contexts/:session/branches' },
  /** Renames it or gives it a system prompt of its own; with neither, the session switches to it. */
  updateBranch: { kind: 'change', method: 'PUT', path: '/api/contexts/:session/branches/:branch' },
  /** Its messages stay in the session: windows may need them. */
  deleteBranch: { kind: 'change', method: 'DELETE', path: '/api/contexts/:session/branches/:branch' },
  compareBranches: { kind: 'read', method: 'GET', path: '/api/contexts/:session/branches/:branch/compare' },
  /** Brings messages of another branch into the active one, as copies. */
  mergeBranch: { kind: 'change', method: 'POST', path: '/api/contexts/:session/branches/:branch/merge' },
  /** The active branch ends with this message from now on. */
  rollBack: { kind: 'change', method: 'POST', path: '/api/contexts/:session/rollback' },
  /** Sends another text in place of a message, on a branch of its own. */
  editMessage: { kind: 'change', streams: true, method: 'POST', path: '/api/contexts/:session/messages/:message/edit' },
  /** Another answer to the same message, on a branch of its own. */
  regenerate: { kind: 'change', streams: true, method: 'POST', path: '/api/contexts/:session/regenerate' },
  /** Continues an answer that was cut, from its exact token ids. */
  continueAnswer: { kind: 'change', streams: true, method: 'POST', path: '/api/contexts/:session/continue' },
} as const satisfies Record<string, Route>;

const answering = () => ({ maxTokens: z.optional(z.number()), temperature: z.optional(z.number()), ...onEngine });
/** A function, as every schema here: clients load this module for its facts, and a schema at its top would come with them. */
const optionalText = () => z.optional(text);

export const branchShapes = () =>
  ({
    listBranches: {
      summary: 'List the branches of a session, with the tokens that each shares',
      input: z.object({ session: text }),
      output: z.object({ items: z.array(branchSummarySchema) }),
    },
    createBranch: {
      summary: 'Create a branch at a message',
      input: z.object({
        session: text,
        /** Default: `branch-2` and so on. */
        name: optionalText(),
        /** Id of the last message that is shared; null: none is. Default: the last one of the active branch. */
        at: z.optional(z.nullable(text)),
        /** Default true. */
        switch: flag,
      }),
      output: sessionSchema,
    },
    updateBranch: {
      summary: 'Switch to a branch, rename it, or give it a system prompt of its own',
      input: z.object({
        session: text,
        branch: text,
        rename: optionalText(),
        /** Id of a named prompt; null: that of the session. */
        systemPrompt: z.optional(z.nullable(text)),
        breakPrefix: flag,
      }),
      output: sessionSchema,
    },
    deleteBranch: {
      summary: 'Delete a branch; its messages stay',
      input: z.object({ session: text, branch: text }),
      output: sessionSchema,
    },
    compareBranches: {
      summary: 'What two branches share, and what each has of its own',
      input: z.object({ session: text, branch: text, /** Default: the active one. */ with: optionalText() }),
      output: branchComparisonSchema,
    },
    mergeBranch: {
      summary: 'Bring messages of another branch into the active branch',
      input: z.object({
        session: text,
        branch: text,
        how: z.enum(mergeWays),
        /** Of a cherry-pick: the messages to take. */
        messages: z.optional(z.array(text)),
      }),
      output: sessionSchema,
    },
    rollBack: {
      summary: 'Let the active branch end with an earlier message',
      input: z.object({ session: text, message: z.nullable(text) }),
      output: sessionSchema,
    },
    editMessage: {
      summary: 'Send another text in place of a message, on a branch of its own',
      input: z.object({ session: text, message: text, text, branch: optionalText(), ...answering() }),
      output: sendResultSchema,
    },
    regenerate: {
      summary: 'Get another answer to the same message, on a branch of its own',
      input: z.object({
        session: text,
        /** The answer; a message of the user's that ends the branch gets its first answer, there. Default: the last one. */
        message: optionalText(),
        branch: optionalText(),
        ...answering(),
      }),
      output: sendResultSchema,
    },
    continueAnswer: {
      summary: 'Continue an answer that was cut',
      input: z.object({ session: text, ...answering() }),
      output: sendResultSchema,
    },
  }) as const satisfies ShapesOf<typeof branchRoutes>;
