import * as z from 'zod/mini';
import { sessionSchema } from '../schemas/session.ts';
import { text } from './fields.ts';
import type { Route, ShapesOf } from './route.ts';

export const projectRoutes = {
  activeSession: { kind: 'read', method: 'GET', path: '/api/projects/active' },
  activateSession: { kind: 'change', method: 'POST', path: '/api/projects/active' },
} as const satisfies Record<string, Route>;

export const projectShapes = () =>
  ({
    activeSession: { input: z.object({ project: text }), output: z.object({ session: z.nullable(sessionSchema) }) },
    activateSession: {
      input: z.object({ project: text, session: z.nullable(text) }),
      output: z.object({ session: z.nullable(sessionSchema) }),
    },
  }) as const satisfies ShapesOf<typeof projectRoutes>;
