import { completable, type McpServer, type StandardSchemaWithJSON } from '@modelcontextprotocol/server';
import type { McpParts } from './mcpParts.ts';
import type { AgentToolName } from '../agent/agentTools.ts';
import { mayCall } from './registerTools.ts';
import { sessionNames, windowNames } from './names.ts';

interface Argument {
  readonly meaning: string;
  /** What may stand there, for a field that somebody is typing. */
  readonly complete?: (begin: string | undefined) => Promise<string[]>;
}

interface Prompt {
  readonly title: string;
  readonly description: string;
  readonly args?: Readonly<Record<string, Argument>>;
  /** The tool that it asks the model to use; default: one that changes nothing. A client that may not call it is not offered the prompt. */
  readonly tool?: AgentToolName;
  readonly text: (args: Readonly<Record<string, string>>) => string;
}

/** What a person types as a slash command. Each asks the model to use one of the tools and to report what came of it. */
export function registerPrompts(server: McpServer, parts: McpParts): void {
  for (const [name, { title, description, args, tool, text }] of Object.entries(promptsOf(parts))) {
    if (tool && !mayCall(parts, tool)) continue;
    const message = (given: Readonly<Record<string, string>>) => ({
      messages: [{ role: 'user' as const, content: { type: 'text' as const, text: text(given) } }],
    });
    if (args) server.registerPrompt(name, { title, description, argsSchema: textFields(args) }, message);
    else server.registerPrompt(name, { title, description }, () => message({}));
  }
}

const report =
  'Then say in one or two sentences what its "summary" and its notes say. Claim nothing that they do not say.';

function promptsOf({ backend }: McpParts): Readonly<Record<string, Prompt>> {
  const session: Argument = {
    meaning: 'Id of the session.',
    complete: (begin = '') => sessionNames(backend, begin),
  };
  const window: Argument = { meaning: 'Name of the window.', complete: (begin = '') => windowNames(backend, begin) };
  const newName: Argument = { meaning: 'Name of the new window.' };
  return {
    freeze: {
      title: 'Freeze Session',
      description: 'Store a session as a window',
      args: { session, window: newName },
      tool: 'window_freeze',
      text: (args) =>
        `Call window_freeze with session_id "${args['session']}" and window_name "${args['window']}". ${report}`,
    },
    thaw: {
      title: 'Thaw Window',
      description: 'Open a window as a session',
      args: { window },
      tool: 'window_thaw',
      text: (args) =>
        `Call window_thaw with window_name "${args['window']}". ${report} Name the verdict and the id of the session that was opened.`,
    },
    clone: {
      title: 'Clone Window',
      description: 'Make a second window over the same content',
      args: { window, target: newName },
      tool: 'window_clone',
      text: (args) =>
        `Call window_clone with source_window "${args['window']}" and target_window "${args['target']}". ${report}`,
    },
    branch: {
      title: 'Create Branch',
      description: 'Branch a session here',
      args: { session },
      tool: 'branch_create',
      text: (args) => `Call branch_create with session_id "${args['session']}", and name the branch that it made.`,
    },
    status: {
      title: 'Show Status',
      description: 'How the backend, its model servers and its windows are',
      text: () =>
        'Call health_check, cache_stats and window_list, and report in a few lines: what works, what needs a look, and the newest windows.',
    },
    why: {
      title: 'Explain Verdict',
      description: 'Why a window was reused, or was not',
      args: { window },
      text: (args) =>
        `Call window_status with window_name "${args['window']}", and explain its "last_receipt" in plain words: what was reused, and if not all, why.`,
    },
  };
}

type Fields = StandardSchemaWithJSON<Record<string, string>> & { readonly shape: object };

/** Fields of text that all must be there. A schema library would take longer to make them than the whole server to start. */
function textFields(args: Readonly<Record<string, Argument>>): Fields {
  const names = Object.keys(args);
  const properties = Object.fromEntries(
    Object.entries(args).map(([name, { meaning }]) => [name, { type: 'string', description: meaning }]),
  );
  const json = (): Record<string, unknown> => ({ type: 'object', properties, required: names });
  const schema = {
    '~standard': {
      version: 1 as const,
      vendor: 'cwm',
      validate: (given: unknown) => {
        const value = (given ?? {}) as Record<string, string>;
        const missing = names.filter((name) => typeof value[name] !== 'string');
        return missing.length === 0
          ? { value }
          : { issues: missing.map((name) => ({ message: `"${name}" is missing`, path: [name] })) };
      },
      jsonSchema: { input: json, output: json },
    },
  };
  const shape = Object.fromEntries(
    Object.entries(args).map(([name, { complete }]) => [
      name,
      complete ? completable({ ...schema }, (begin) => complete(String(begin))) : schema,
    ]),
  );
  return { ...schema, shape };
}
