import { backendTools } from './backendTools.ts';
import { lookTools } from './lookTools.ts';
import type { MainToolName } from './toolNames.ts';
import { windowTools } from './windowTools.ts';

/** The twelve tools that every client has, and a few more: VS Code's extension loads no others. */
export const mainTools = { ...windowTools, ...lookTools, ...backendTools } as const satisfies Record<
  MainToolName,
  unknown
>;
