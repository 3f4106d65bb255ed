import * as z from 'zod/mini';
import { importanceSchema, memoryPageSchema } from '../memory/page.ts';
import { memoryStatsSchema } from '../memory/stats.ts';
import { mutationSchema, searchSchema, segmentSchema } from '../memory/records.ts';
import { memoryScopes } from '../memory/scopes.ts';
import { primeResultSchema } from '../schemas/turn.ts';
import { onEngine, page, queryFlag, text } from './fields.ts';
import type { Route, ShapesOf } from './route.ts';

export const memoryRoutes = {
  /** What the next prompt has of the conversation, and what left it. */
  memoryState: { kind: 'read', method: 'GET', path: '/api/contexts/:session/memory' },
  /** One page with its whole text, whatever the prompt has of it. */
  memoryPage: { kind: 'read', method: 'GET', path: '/api/contexts/:session/memory/pages/:page' },
  /** When a page was in the prompt, and why it left or came back. */
  memoryHistory: { kind: 'read', method: 'GET', path: '/api/contexts/:session/memory/pages/:page/history' },
  /** A pinned page stays whole in the prompt, also in the summary that takes the place of its neighbours. */
  pinPage: { kind: 'change', method: 'PUT', path: '/api/contexts/:session/memory/pages/:page/pin' },
  /** What a page is worth to later prompts, for the policy that decides what leaves. */
  weighPage: { kind: 'change', method: 'PUT', path: '/api/contexts/:session/memory/pages/:page/importance' },
  /** Brings a page back into the prompt, behind the last message, and has the model server compute it. */
  faultPage: { kind: 'change', streams: true, method: 'POST', path: '/api/contexts/:session/memory/pages/:page/fault' },
  /** What is remembered for the user, for a project, and for a session. */
  listMemories: { kind: 'read', method: 'GET', path: '/api/memories' },
  /** Remembers a text. Only a person does, since it may stand in front of other sessions. */
  remember: { kind: 'change', creates: true, clients: 'own', method: 'POST', path: '/api/memories' },
  /** Gives a memory another text. The versions of before stay in the store. */
  editMemory: { kind: 'change', clients: 'own', method: 'PUT', path: '/api/memories/:memoryId' },
  forgetMemory: { kind: 'change', clients: 'own', method: 'DELETE', path: '/api/memories/:memoryId' },
} as const satisfies Record<string, Route>;

const memory = () =>
  z.object({
    id: text,
    scope: z.enum(memoryScopes),
    text,
    /** 1-based. */
    version: z.number(),
    /** Of this version. */
    at: text,
    /** The tool that it is about. */
    tool: z.optional(text),
  });

/** `project` is needed for one of a project, `session` for one of a session. Those of tools are the user's, too. */
const ofScope = () => ({ project: z.optional(text), session: z.optional(text) });

/** By words in any case; by meaning, too, where a server has vectors of texts that say what they are about. */
const memorySearch = () =>
  z.object({
    byMeaning: z.boolean(),
    /** The server that embeds texts, and its model; null: there is none, or nobody knows. */
    server: z.nullable(text),
    model: z.nullable(text),
    /** Messages that have a text, and those with vectors of that model. */
    messages: z.number(),
    embedded: z.number(),
    /** Why not by meaning; null where it is. */
    why: z.nullable(text),
  });

const ofPage = () => ({ session: text, page: text });

export const memoryShapes = () =>
  ({
    memoryState: {
      summary: 'Show what the next prompt has of a conversation, and what left it',
      /**
       * `at`: as it was for this answer, by its place in the conversation. Default: as it is for the next one. `search`: also how searches find
       * what left the prompt; a server of embeddings is asked for two seconds at most. Default: false.
       */
      input: z.object({ session: text, at: z.optional(text), search: queryFlag, ...page }),
      output: z.object({
        enableVm: z.boolean(),
        /** The most tokens of a request; null: nobody knows. */
        limit: z.nullable(z.number()),
        /** Tokens that the model server saw last; null: it said nothing. */
        used: z.nullable(z.number()),
        /** In place of the oldest messages, oldest first. */
        segments: z.array(segmentSchema),
        /** How many messages the conversation has, and how many of them are whole in the next prompt. */
        messages: z.number(),
        inPrompt: z.number(),
        /** Of all prompts so far: share of tokens that the server reused, 0 to 1; null: it never said. */
        ratio: z.nullable(z.number()),
        /** Tokens that were computed again because of memory, so far. */
        recomputed: z.number(),
        faults: z.number(),
        stats: memoryStatsSchema,
        /** How searches find what left the prompt, where that was asked for; left out without virtual memory. */
        search: z.optional(memorySearch()),
        /** Names of the policies of eviction that a session can have. An older backend leaves it out. */
        policies: z.optional(z.array(z.string())),
        /** The last answers, oldest first, at most 100. */
        turns: z.array(
          z.object({ sequence: z.number(), sent: z.number(), reused: z.nullable(z.number()), recomputed: z.number() }),
        ),
        /** The pages of the conversation, oldest first; `total` is their number. */
        pages: z.array(z.extend(memoryPageSchema, { hint: text })),
        total: z.number(),
        hasMore: z.boolean(),
        /** What calls of each tool taught: pages that are derived from results. An older backend leaves it out. */
        procedures: z.optional(z.array(z.extend(memoryPageSchema, { hint: text }))),
      }),
    },
    memoryPage: {
      summary: 'Read one page of a conversation with its whole text',
      input: z.object(ofPage()),
      output: z.object({ page: memoryPageSchema, text }),
    },
    memoryHistory: {
      summary: 'Say when a page was in the prompt, and why it left or came back',
      input: z.object(ofPage()),
      output: z.object({
        page: text,
        /** Answers whose prompt had it whole: the places of the first and the last one; null: none. */
        inPrompt: z.nullable(z.object({ from: z.number(), to: z.number() })),
        /** The segment that took its place; null: none did. */
        leftWith: z.nullable(z.object({ segment: text, at: text, why: text })),
        events: z.array(mutationSchema),
        /** Searches of the model that found it. */
        searches: z.array(searchSchema),
      }),
    },
    pinPage: {
      summary: 'Pin a page, so that it stays whole in the prompt, or unpin it',
      input: z.object({ ...ofPage(), pinned: z.boolean() }),
      output: z.object({ page: text, pinned: z.boolean() }),
    },
    weighPage: {
      summary: 'Say what a page is worth to later prompts',
      /** Null: as much as pages of its role are (0.6 of the user, 0.5 of the model, 0.4 of a tool). */
      input: z.object({ ...ofPage(), importance: z.nullable(importanceSchema) }),
      output: z.object({ page: text, importance: importanceSchema }),
    },
    listMemories: {
      summary: 'List what is remembered for the user, tools, a project and a session',
      input: z.object(ofScope()),
      output: z.object({ items: z.array(memory()) }),
    },
    remember: {
      summary: 'Remember a small text for the user, a tool, a project or a session',
      /** `tool`: its name, where the memory is about one. */
      input: z.object({ scope: z.enum(memoryScopes), text, tool: z.optional(text), ...ofScope() }),
      output: memory(),
    },
    editMemory: {
      summary: 'Give a memory another text',
      input: z.object({ memoryId: text, text, ...ofScope() }),
      output: memory(),
    },
    forgetMemory: {
      summary: 'Forget a memory',
      input: z.object({ memoryId: text, ...ofScope() }),
      output: memory(),
    },
    faultPage: {
      summary: 'Bring a page back into the prompt',
      input: z.object({ ...ofPage(), ...onEngine }),
      output: primeResultSchema,
    },
  }) as const satisfies ShapesOf<typeof memoryRoutes>;
