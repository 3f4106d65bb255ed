import type { Command } from 'commander';
import { pathToFileURL } from 'node:url';
import type { ToolRight } from '../../../protocol/routes/gateway.ts';
import { entryPointPath } from '../../../base/entryPoint.ts';
import type { Perform } from '../../action.ts';
import { withCommonOptions } from '../../run.ts';

/** What the bundle of the MCP server exports. It is loaded by this command alone, so that the others start without it. */
interface McpModule {
  readonly serveMcp: (options: {
    storage: string;
    engine: string | undefined;
    allowForce: boolean;
    tools: ToolRight;
    signal: AbortSignal;
  }) => Promise<void>;
}

interface McpFlags {
  readonly allowForce?: boolean;
  readonly readOnly?: boolean;
}

export function registerMcp(program: Command, perform: Perform): void {
  withCommonOptions(program.command('mcp'))
    .description(
      'serve the operations to a program that speaks the Model Context Protocol, on standard input and output',
    )
    .option('--allow-force', 'let "force" delete a window without a question to a person')
    .option('--read-only', 'offer only the tools that change nothing')
    .action(({ allowForce = false, readOnly, ...common }: McpFlags) =>
      perform(common, async (run) => {
        const entry = pathToFileURL(entryPointPath('mcp', import.meta.url)).href;
        const { serveMcp } = (await import(entry)) as McpModule;
        const tools = readOnly ? 'read' : 'all';
        await serveMcp({
          storage: run.storage,
          engine: run.engine,
          allowForce,
          tools,
          signal: run.terminal.interrupted,
        });
      }),
    );
}
