import type * as z from 'zod/mini';
import { gatewayRoutes } from './routes/gateway.ts';
import { processRoutes } from './routes/process.ts';
import { promptRoutes } from './routes/prompts.ts';
import { memoryRoutes } from './routes/memory.ts';
import { branchRoutes } from './routes/branches.ts';
import { sessionRoutes } from './routes/sessions.ts';
import { searchRoutes } from './routes/search.ts';
import { transferRoutes } from './routes/transfer.ts';
import { turnRoutes } from './routes/turns.ts';
import { windowRoutes } from './routes/windows.ts';
import { spaceRoutes } from './routes/space.ts';
import { stateRoutes } from './routes/state.ts';
import { projectRoutes } from './routes/projects.ts';
import type { Route } from './routes/route.ts';
import type { shapes } from './routes/shapes.ts';

export type { Route } from './routes/route.ts';

/** What the core's operations answer. */
export const coreRoutes = {
  ...sessionRoutes,
  ...promptRoutes,
  ...branchRoutes,
  ...memoryRoutes,
  ...turnRoutes,
  ...searchRoutes,
  ...transferRoutes,
  ...windowRoutes,
  ...spaceRoutes,
  ...stateRoutes,
  ...projectRoutes,
} as const satisfies Record<string, Route>;

/**
 * The control API: REST over the backend's socket. Each route says what it is; server and client are both made from this table. What
 * goes in and what comes out is in {@link shapes}, which the server alone loads. Errors are `{ error: ErrorReport }` with the code's
 * status. Sessions keep the path `/api/contexts`, which other clients know.
 */
export const routes: Readonly<Record<RouteName, Route>> = { ...processRoutes, ...gatewayRoutes, ...coreRoutes };

export type RouteName = ProcessRouteName | CoreRouteName;
/** About the backend's process and not about sessions and windows. */
export type ProcessRouteName = keyof typeof processRoutes | keyof typeof gatewayRoutes;
export type CoreRouteName = keyof typeof coreRoutes;
/** What a client gives. */
export type RouteInput<Name extends RouteName> = z.input<(typeof shapes)[Name]['input']>;
/** What the backend makes of it: numbers and flags are no longer strings. */
export type ParsedInput<Name extends RouteName> = z.output<(typeof shapes)[Name]['input']>;
export type RouteOutput<Name extends RouteName> = z.output<(typeof shapes)[Name]['output']>;
