import * as z from 'zod/mini';
import { sessionSchema } from '../schemas/session.ts';
import { route, text } from './route.ts';

export const projectRoutes = {
  activeSession: route({
    kind: 'read',
    method: 'GET',
    path: '/api/projects/active',
    input: z.object({ project: text }),
    output: z.object({ session: z.nullable(sessionSchema) }),
  }),
  activateSession: route({
    kind: 'change',
    method: 'POST',
    path: '/api/projects/active',
    input: z.object({ project: text, session: z.nullable(text) }),
    output: z.object({ session: z.nullable(sessionSchema) }),
  }),
};
