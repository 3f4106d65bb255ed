import { gatewayShapes } from './gateway.ts';
import { processShapes } from './process.ts';
import { promptShapes } from './prompts.ts';
import { memoryShapes } from './memory.ts';
import { branchShapes } from './branches.ts';
import { sessionShapes } from './sessions.ts';
import { searchShapes } from './search.ts';
import { transferShapes } from './transfer.ts';
import { turnShapes } from './turns.ts';
import { windowShapes } from './windows.ts';
import { spaceShapes } from './space.ts';
import { stateShapes } from './state.ts';
import { projectShapes } from './projects.ts';
import type { RouteShape } from './route.ts';

/**
 * What goes into each route and what comes out of it. The backend checks both; clients use the types alone, so that the schemas and
 * their library stay out of the editor's process.
 */
export const shapes = {
  ...processShapes(),
  ...gatewayShapes(),
  ...sessionShapes(),
  ...promptShapes(),
  ...branchShapes(),
  ...memoryShapes(),
  ...turnShapes(),
  ...searchShapes(),
  ...transferShapes(),
  ...windowShapes(),
  ...spaceShapes(),
  ...stateShapes(),
  ...projectShapes(),
} as const satisfies Record<string, RouteShape>;
