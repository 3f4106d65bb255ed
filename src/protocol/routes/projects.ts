import * as z from 'zod/mini';
import { sessionSchema } from '../schemas/session.ts';
import { text } from './fields.ts';
import type { Route, ShapesOf } from './route.ts';

export const projectRoutes = {
  currentSession: { kind: 'read', method: 'GET', path: '/api/projects/active' },
  setCurrentSession: { kind: 'change', method: 'POST', path: '/api/projects/active' },
  /** Whether the MCP servers that the folder's `.vscode/mcp.json` names may be started. */
  trustProject: { kind: 'change', clients: 'own', method: 'POST', path: '/api/projects/trust' },
} as const satisfies Record<string, Route>;

export const projectShapes = () =>
  ({
    currentSession: { input: z.object({ project: text }), output: z.object({ session: z.nullable(sessionSchema) }) },
    setCurrentSession: {
      input: z.object({ project: text, session: z.nullable(text) }),
      output: z.object({ session: z.nullable(sessionSchema) }),
    },
    trustProject: {
      input: z.object({ project: text, trusted: z.boolean() }),
      output: z.object({ project: text, trusted: z.boolean() }),
    },
  }) as const satisfies ShapesOf<typeof projectRoutes>;
