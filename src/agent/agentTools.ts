import { backendTools, backendToolShapes } from './backendTools.ts';
import { conversationTools, conversationToolShapes } from './conversationTools.ts';
import { lookTools, lookToolShapes } from './lookTools.ts';
import { pageTools, pageToolShapes } from './pageTools.ts';
import { windowTools, windowToolShapes } from './windowTools.ts';

/** Every tool by its name, in the order in which clients list them. */
export const agentTools = {
  ...windowTools,
  ...lookTools,
  ...backendTools,
  ...conversationTools,
  ...pageTools,
} as const;
export type AgentToolName = keyof typeof agentTools;

/** What goes into each tool and what comes out. A function, so that VS Code's extension loads no schemas. */
export const agentToolShapes = () =>
  ({
    ...windowToolShapes(),
    ...lookToolShapes(),
    ...backendToolShapes(),
    ...conversationToolShapes(),
    ...pageToolShapes(),
  }) as const;
