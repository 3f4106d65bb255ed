import * as z from 'zod/mini';
import { sessionSchema } from '../schemas/session.ts';
import { text } from './fields.ts';
import type { Route, ShapesOf } from './route.ts';

export const projectRoutes = {
  currentSession: { kind: 'read', method: 'GET', path: '/api/projects/active' },
  setCurrentSession: { kind: 'change', method: 'POST', path: '/api/projects/active' },
} as const satisfies Record<string, Route>;

export const projectShapes = () =>
  ({
    currentSession: { input: z.object({ project: text }), output: z.object({ session: z.nullable(sessionSchema) }) },
    setCurrentSession: {
      input: z.object({ project: text, session: z.nullable(text) }),
      output: z.object({ session: z.nullable(sessionSchema) }),
    },
  }) as const satisfies ShapesOf<typeof projectRoutes>;
