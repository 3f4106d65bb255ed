import { processShapes } from './routes/process.ts';
import { sessionShapes } from './routes/sessions.ts';
import { turnShapes } from './routes/turns.ts';
import { windowShapes } from './routes/windows.ts';
import { spaceShapes } from './routes/space.ts';
import { stateShapes } from './routes/state.ts';
import { projectShapes } from './routes/projects.ts';
import type { RouteShape } from './routes/route.ts';

/**
 * What goes into each route and what comes out of it. The backend checks both; clients use the types alone, so that the schemas and
 * their library stay out of the editor's process.
 */
export const shapes = {
  ...processShapes(),
  ...sessionShapes(),
  ...turnShapes(),
  ...windowShapes(),
  ...spaceShapes(),
  ...stateShapes(),
  ...projectShapes(),
} as const satisfies Record<string, RouteShape>;
