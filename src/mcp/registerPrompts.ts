import { completable, type GetPromptResult, type McpServer } from '@modelcontextprotocol/server';
import * as z from 'zod';
import type { McpParts } from './mcpParts.ts';
import { sessionNames, windowNames } from './names.ts';

/** What a person types as a slash command. Each asks the model to use one of the tools and to report what came of it. */
export function registerPrompts(server: McpServer, { backend }: McpParts): void {
  const session = completable(z.string().describe('Id of the session.'), (begin) => sessionNames(backend, begin ?? ''));
  const window = completable(z.string().describe('Name of the window.'), (begin) => windowNames(backend, begin ?? ''));
  const newName = z.string().describe('Name of the new window.');
  const report =
    'Then say in one or two sentences what its "summary" and its notes say. Claim nothing that they do not say.';

  server.registerPrompt(
    'freeze',
    {
      title: 'Freeze Session',
      description: 'Store a session as a window',
      argsSchema: z.object({ session, window: newName }),
    },
    (args) =>
      asking(`Call window_freeze with session_id "${args.session}" and window_name "${args.window}". ${report}`),
  );
  server.registerPrompt(
    'thaw',
    { title: 'Thaw Window', description: 'Open a window as a session', argsSchema: z.object({ window }) },
    (args) =>
      asking(
        `Call window_thaw with window_name "${args.window}". ${report} Name the verdict and the id of the session that was opened.`,
      ),
  );
  server.registerPrompt(
    'clone',
    {
      title: 'Clone Window',
      description: 'Make a second window over the same content',
      argsSchema: z.object({ window, target: newName }),
    },
    (args) =>
      asking(`Call window_clone with source_window "${args.window}" and target_window "${args.target}". ${report}`),
  );
  server.registerPrompt(
    'branch',
    { title: 'Create Branch', description: 'Branch a session here', argsSchema: z.object({ session }) },
    (args) => asking(`Call branch_create with session_id "${args.session}", and name the branch that it made.`),
  );
  server.registerPrompt(
    'status',
    { title: 'Show Status', description: 'How the backend, its model servers and its windows are' },
    () =>
      asking(
        'Call health_check, cache_stats and window_list, and report in a few lines: what works, what needs a look, and the newest windows.',
      ),
  );
  server.registerPrompt(
    'why',
    {
      title: 'Explain Verdict',
      description: 'Why a window was reused, or was not',
      argsSchema: z.object({ window }),
    },
    (args) =>
      asking(
        `Call window_status with window_name "${args.window}", and explain its "last_receipt" in plain words: what was reused, and if not all, why.`,
      ),
  );
}

const asking = (text: string): GetPromptResult => ({ messages: [{ role: 'user', content: { type: 'text', text } }] });
