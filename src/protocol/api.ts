import type * as z from 'zod/mini';
import { processRoutes } from './routes/process.ts';
import { sessionRoutes } from './routes/sessions.ts';
import { turnRoutes } from './routes/turns.ts';
import { windowRoutes } from './routes/windows.ts';
import { spaceRoutes } from './routes/space.ts';
import { stateRoutes } from './routes/state.ts';
import { projectRoutes } from './routes/projects.ts';
import type { Route } from './routes/route.ts';

export type { Route } from './routes/route.ts';

/** What the core's operations answer. */
export const coreRoutes = {
  ...sessionRoutes,
  ...turnRoutes,
  ...windowRoutes,
  ...spaceRoutes,
  ...stateRoutes,
  ...projectRoutes,
} as const satisfies Record<string, Route>;

/**
 * The control API: REST over the backend's socket. Each route says what goes in, what comes out and what it is; server and client are
 * both made from this table. Errors are `{ error: ErrorReport }` with the code's status. Sessions keep the path
 * `/api/contexts`, which other clients know.
 */
export const routes = { ...processRoutes, ...coreRoutes } as const satisfies Record<string, Route>;

export type RouteName = keyof typeof routes;
/** About the backend's process and not about sessions and windows. */
export type ProcessRouteName = keyof typeof processRoutes;
export type CoreRouteName = keyof typeof coreRoutes;
/** What a client gives. */
export type RouteInput<Name extends RouteName> = z.input<(typeof routes)[Name]['input']>;
/** What the backend makes of it: numbers and flags are no longer strings. */
export type ParsedInput<Name extends RouteName> = z.output<(typeof routes)[Name]['input']>;
export type RouteOutput<Name extends RouteName> = z.output<(typeof routes)[Name]['output']>;
