import { backendToolShapes } from './backendTools.ts';
import { conversationTools, conversationToolShapes } from './conversationTools.ts';
import { lookToolShapes } from './lookTools.ts';
import { mainTools } from './mainTools.ts';
import { pageTools, pageToolShapes } from './pageTools.ts';
import { windowToolShapes } from './windowTools.ts';

/** Every tool by its name, in the order in which clients list them. */
export const agentTools = {
  ...mainTools,
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
