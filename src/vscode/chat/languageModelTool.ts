import {
  LanguageModelTextPart,
  LanguageModelToolResult,
  type CancellationToken,
  type PreparedToolInvocation,
} from 'vscode';
import type { AgentTool } from '../../agent/agentTool.ts';
import { mainTools } from '../../agent/mainTools.ts';
import type { MainToolName } from '../../agent/toolNames.ts';
import type { RouteName } from '../../protocol/api.ts';
import { toCwmError } from '../../protocol/errors.ts';
import { problemText } from '../../words/failure.ts';
import type { App } from '../app.ts';
import { engineOfWindow } from '../commands/windows/engineOfWindow.ts';
import { signalOf } from './signalOf.ts';
import { confirmation } from './confirmation.ts';

/** What VS Code shows while the tool runs, and asks before it does. */
export function prepared(name: MainToolName, input: object): PreparedToolInvocation {
  const asked = confirmation(name, input);
  return {
    invocationMessage: mainTools[name].title,
    ...(asked && { confirmationMessages: asked }),
  };
}

/** @throws an Error with our sentence, code and hint, which the model reads. */
export async function invoke(
  app: App,
  name: MainToolName,
  input: object,
  token: CancellationToken,
): Promise<LanguageModelToolResult> {
  const cancelled = signalOf(token);
  try {
    // The pair of a tool and its own input; the types of a table lose that.
    const tool = mainTools[name] as AgentTool<object, object>;
    const { signal } = cancelled;
    const answer = await tool.run(
      {
        call: async (route, given) =>
          app.connection.call(route, { ...given, ...(await engineOf(app, route, given)) }, { signal }),
      },
      input,
    );
    return new LanguageModelToolResult([new LanguageModelTextPart(JSON.stringify(answer))]);
  } catch (error) {
    throw new Error(problemText(toCwmError(error)), { cause: error });
  } finally {
    cancelled.dispose();
  }
}

/** The engine that the call is about, by name: so the call carries that engine's API key. */
async function engineOf(app: App, route: RouteName, input: object): Promise<{ engine?: string }> {
  if (route === 'thaw' && 'window' in input) return await engineOfWindow(app, String(input.window));
  if (route !== 'freeze' || !('session' in input)) return {};
  const { engine } = await app.connection.call('getSession', { session: String(input.session) });
  return { engine };
}
