import type { CallToolResult, InputRequiredResult, McpServer, ServerContext } from '@modelcontextprotocol/server';
import type * as z from 'zod/mini';
import type { AgentTool, ToolEffect } from '../agent/agentTool.ts';
import { agentTools, agentToolShapes, type AgentToolName } from '../agent/agentTools.ts';
import { askBeforeDelete } from './askPerson.ts';
import { failed } from './failure.ts';
import { CwmError } from '../protocol/errors.ts';
import type { McpParts } from './mcpParts.ts';
import { requestBackend } from './requestBackend.ts';
import { parseInput, shown } from './toolSchema.ts';

/** What a client may think of a tool before it calls it. */
const annotations: Readonly<Record<ToolEffect, object>> = {
  reads: { readOnlyHint: true, destructiveHint: false, idempotentHint: true },
  adds: { readOnlyHint: false, destructiveHint: false, idempotentHint: false },
  changes: { readOnlyHint: false, destructiveHint: false, idempotentHint: true },
  deletes: { readOnlyHint: false, destructiveHint: true, idempotentHint: false },
};

export function registerTools(server: McpServer, parts: McpParts): void {
  for (const { name, input, config } of (described ??= describeTools())) {
    const tool = server.registerTool(name, config, (given, ctx) =>
      callTool({ server, parts, name, input, ctx }, given),
    );
    if (!mayCall(parts, name)) tool.disable();
  }
}

export const mayCall = ({ tools }: Pick<McpParts, 'tools'>, name: AgentToolName): boolean => {
  const { effect, readsWithoutFields }: AgentTool<never, object> = agentTools[name];
  return tools === 'all' || effect === 'reads' || readsWithoutFields === true;
};

/** Made once: over HTTP, each request has a server of its own, and schemas take longer than most calls. */
let described: readonly DescribedTool[] | undefined;

type DescribedTool = ReturnType<typeof describeTools>[number];

function describeTools() {
  const shapes = agentToolShapes();
  return (Object.keys(agentTools) as AgentToolName[]).map((name) => {
    const { title, description, effect } = agentTools[name];
    const { input, output }: Readonly<Record<'input' | 'output', z.ZodMiniType>> = shapes[name];
    const config = {
      title,
      description,
      annotations: { ...annotations[effect], openWorldHint: false },
      inputSchema: shown(input, 'input'),
      outputSchema: shown(output, 'output'),
    };
    return { name, input, config };
  });
}

interface ToolCall {
  readonly server: McpServer;
  readonly parts: McpParts;
  readonly name: AgentToolName;
  readonly input: z.ZodMiniType;
  readonly ctx: ServerContext;
}

async function callTool(
  { server, parts, name, input: schema, ctx }: ToolCall,
  given: unknown,
): Promise<CallToolResult | InputRequiredResult> {
  try {
    // The pair of a tool and its own input; the types of a table lose that.
    const tool = agentTools[name] as AgentTool<unknown, Record<string, unknown>>;
    const input = parseInput(schema, given);
    if (parts.tools !== 'all' && tool.effect !== 'reads' && Object.keys(input as object).length > 0)
      throw new CwmError('AccessDenied', 'This client may call tools that read alone, so that nothing was changed.', {
        hint: 'Call it without a field.',
      });
    const backend = requestBackend(ctx, parts);
    if (name === 'window_delete') {
      const { window_name, force } = input as { window_name: string; force?: boolean };
      const asked = force && parts.allowForce ? null : await askBeforeDelete(server, ctx, backend, window_name);
      if (asked) return asked;
    }
    const answer = await tool.run(backend, input);
    return { content: [{ type: 'text', text: JSON.stringify(answer) }], structuredContent: answer };
  } catch (error) {
    return failed(error);
  }
}
