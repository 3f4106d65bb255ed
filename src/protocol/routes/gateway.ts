import * as z from 'zod/mini';
import { flag, nothing, text } from './fields.ts';
import type { Route, ShapesOf } from './route.ts';

/** Which tools of the MCP server a client may call: each, or only those that change nothing. */
export const toolRights = ['all', 'read'] as const;
export type ToolRight = (typeof toolRights)[number];

/** Programs of others that talk to the model server through the gateway. They reach none of these routes. */
export const gatewayRoutes = {
  /** Each with what it did since the backend started. */
  gatewayClients: { kind: 'read', clients: 'own', method: 'GET', path: '/api/gateway/clients' },
  /** Listens where the clients look for it, else at the port of the settings, unless it listens already. */
  openGateway: { kind: 'change', clients: 'own', method: 'POST', path: '/api/gateway/open' },
  /** Makes a client, or gives it another token: the earlier one stops working, and its connections over MCP end. */
  putGatewayClient: { kind: 'change', clients: 'own', method: 'PUT', path: '/api/gateway/clients/:name' },
  /** Its token stops working, and its connections over MCP end. Its sessions stay. */
  deleteGatewayClient: { kind: 'change', clients: 'own', method: 'DELETE', path: '/api/gateway/clients/:name' },
} as const satisfies Record<string, Route>;

export const gatewayShapes = () =>
  ({
    gatewayClients: {
      summary: 'Programs that use the gateway, and what they did',
      input: nothing,
      output: z.object({
        /** Where the gateway listens; null: it does not. */
        url: z.nullable(text),
        items: z.array(
          z.object({
            name: text,
            /** ISO 8601; null for a program that uses the token of the file. */
            createdAt: z.nullable(text),
            /** Whether its conversations become sessions. */
            records: z.boolean(),
            /** Which tools it may call over MCP. */
            tools: z.enum(toolRights),
            requests: z.number(),
            /** Requests of a conversation that got an answer, and those that got an error in its place. Left out by an earlier backend. */
            answers: z.optional(z.number()),
            failures: z.optional(z.number()),
            /** The last error, in the words of who refused the request; null: none. Left out by an earlier backend. */
            lastFailure: z.optional(z.nullable(text)),
            /** Requests that became turns. */
            turns: z.number(),
            sessions: z.number(),
            /** Of its last turn; null: none since the backend started. */
            lastSession: z.nullable(text),
            /** Null also where the session has none, or is gone. */
            lastSessionTitle: z.nullable(text),
            promptTokens: z.number(),
            /** Of those, the ones that the model server reused. */
            cachedTokens: z.number(),
            /** Prompt tokens that the request before had, too, and that were computed again all the same, with what that took. */
            tokensAgain: z.number(),
            msAgain: z.number(),
            /** How often a prompt left what the one before it had in common with it, by cause. */
            breaks: z.object({ system: z.number(), tools: z.number(), messages: z.number() }),
            /** The last one, in words; null: none. */
            lastBreak: z.nullable(text),
            /** ISO 8601; null: none since the backend started. */
            lastRequestAt: z.nullable(text),
            /** Of the last turn. */
            project: z.nullable(text),
            /** Sessions of which the last answer passed and is not stored. Absent in answers of earlier backends. */
            unrecorded: z.optional(
              z.array(
                z.object({
                  session: text,
                  /** In words. */
                  why: text,
                  /** Since when something is missing. ISO 8601. */
                  since: text,
                }),
              ),
            ),
          }),
        ),
      }),
    },
    openGateway: {
      summary: 'Listen for clients of the gateway',
      input: nothing,
      output: z.object({ url: text }),
    },
    putGatewayClient: {
      summary: 'Make a client of the gateway, or give it another token',
      input: z.object({
        name: text,
        /** Default: as it was; true for a new client. */
        records: flag,
        /** Default: as it was; `all` for a new client. Another value ends its connections over MCP. */
        tools: z.optional(z.enum(toolRights)),
        /** False leaves the token as it is. Default true. */
        rotate: flag,
      }),
      /** `token` is shown this once; null where it stays as it was. */
      output: z.object({
        name: text,
        records: z.boolean(),
        tools: z.enum(toolRights),
        token: z.nullable(text),
        url: z.nullable(text),
      }),
    },
    deleteGatewayClient: {
      summary: 'Revoke the token of a client of the gateway',
      input: z.object({ name: text }),
      output: nothing,
    },
  }) as const satisfies ShapesOf<typeof gatewayRoutes>;
