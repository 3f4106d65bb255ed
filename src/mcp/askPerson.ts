import {
  CLIENT_CAPABILITIES_META_KEY,
  inputRequired,
  inputResponse,
  type ClientCapabilities,
  type InputRequiredResult,
  type McpServer,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { formatBytes, formatTokens } from '../base/format.ts';
import type { AgentBackend } from '../agent/agentTool.ts';
import { CwmError } from '../protocol/errors.ts';

const question = 'delete';

/**
 * Asks the person at the client whether the window may go.
 *
 * @returns null when they agreed; else what the client is answered, which asks and then makes the same call again.
 * @throws CwmError Cancelled when they did not agree; AccessDenied when this client cannot ask anybody.
 */
export async function askBeforeDelete(
  server: McpServer,
  ctx: ServerContext,
  backend: AgentBackend,
  window: string,
): Promise<InputRequiredResult | null> {
  const answer = inputResponse(ctx.mcpReq.inputResponses, question);
  if (answer.kind === 'elicit') {
    if (answer.action === 'accept' && answer.content?.[question] === true) return null;
    throw new CwmError('Cancelled', `The person did not agree, so the window "${window}" was not deleted.`, {
      hint: 'Do not ask again unless the person wants it.',
    });
  }
  if (!canAsk(server, ctx)) {
    throw new CwmError(
      'AccessDenied',
      `A person must agree before the window "${window}" is deleted, and this client cannot ask.`,
      {
        hint: `Tell the person to run "cwm delete ${window}", or to delete it in VS Code.`,
      },
    );
  }
  const { summary } = await backend.call('getWindow', { window });
  const kv = summary.kvBytes === null ? '' : ` and ${formatBytes(summary.kvBytes)} of KV cache`;
  return inputRequired({
    inputRequests: {
      [question]: inputRequired.elicit({
        message:
          `Delete the window "${summary.name}" with ${formatTokens(summary.tokens)}${kv}? ` +
          'Its records go to the trash. Its KV cache would have to be computed again.',
        requestedSchema: {
          type: 'object',
          properties: { [question]: { type: 'boolean', title: 'Delete this window' } },
          required: [question],
        },
      }),
    },
  });
}

function canAsk(server: McpServer, { mcpReq }: ServerContext): boolean {
  const envelope = mcpReq.envelope as Readonly<Record<string, unknown>> | undefined;
  const stated = envelope?.[CLIENT_CAPABILITIES_META_KEY] as ClientCapabilities | undefined;
  const { elicitation } = stated ?? server.server.getClientCapabilities() ?? {};
  // Without any mode, it means forms: there was only one kind at first.
  return elicitation !== undefined && (elicitation.form !== undefined || elicitation.url === undefined);
}
