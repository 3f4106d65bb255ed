import type { CancellationToken, ChatRequest, ChatResponseStream, ChatResult } from 'vscode';
import { CwmError, isCwmError, toCwmError } from '../../protocol/errors.ts';
import { problemText } from '../../words/failure.ts';
import type { App } from '../app.ts';
import { activate } from '../commands/sessions/createSession.ts';
import { noteReceipt } from '../commands/windows/noteReceipt.ts';
import { type ChatCommand, chatCommands, commandTitles } from '../contributions.ts';
import { documentUri } from '../documents/documentUri.ts';
import { defaultWindowName } from '../pick/names.ts';
import { currentSession } from '../pick/pickSession.ts';
import { folderUri } from '../following/project.ts';
import { signalOf } from './signalOf.ts';
import { chatAnswer } from './chatAnswer.ts';
import { sessionOfChat } from './chatSessions.ts';

/** Answers one message to `@window`: the steps while it works, then text, the window's receipts, and buttons. */
export async function answerInChat(
  app: App,
  { command, prompt, toolInvocationToken }: Pick<ChatRequest, 'command' | 'prompt' | 'toolInvocationToken'>,
  stream: ChatResponseStream,
  token: CancellationToken,
): Promise<ChatResult> {
  const cancelled = signalOf(token);
  try {
    const words = prompt.split(/\s+/).filter((word) => word !== '');
    const { signal } = cancelled;
    const answer = await chatAnswer(
      {
        call: (route, input) =>
          app.connection.call(route, input, { signal, onProgress: (step) => stream.progress(step) }),
        async chatSession() {
          const ofChat = sessionOfChat(app.context.workspaceState, toolInvocationToken);
          if (ofChat === undefined) return null;
          try {
            return { ...ofChat, session: await app.connection.call('getSession', { session: ofChat.session }) };
          } catch (error) {
            if (!isCwmError(error, 'SessionNotFound')) throw error;
            throw new CwmError(
              'SessionNotFound',
              `The conversation of this chat is not stored: ${ofChat.whyNot ?? 'its session was deleted, or comes in a moment.'}`,
              { cause: error, hint: 'Send a message in this chat first, or name a session in the tree.' },
            );
          }
        },
        project: folderUri(app.state.current),
        currentSession: async () => (await currentSession(app)) ?? null,
        noteReceipt: (receipt) => noteReceipt(app, receipt),
        noteOpened: async (receipt) => {
          await activate(app, await app.connection.call('getSession', { session: receipt.session }));
          noteReceipt(app, receipt);
        },
        newWindowName: ({ title }) => defaultWindowName(title, new Date()),
      },
      isChatCommand(command) ? command : null,
      words,
    );
    stream.markdown(answer.markdown);
    if (answer.window !== null) {
      const receipt = documentUri('receipts', answer.window, answer.window);
      stream.reference(receipt);
      // In agent mode VS Code shows no references, but what is in the text.
      stream.markdown('\n\nReceipt: ');
      stream.anchor(receipt);
    }
    for (const { command: id, input } of answer.buttons) {
      stream.button({ command: id, title: commandTitles[id], arguments: [input] });
    }
    return { metadata: { command, window: answer.window } };
  } catch (error) {
    return { errorDetails: { message: problemText(toCwmError(error)) } };
  } finally {
    cancelled.dispose();
  }
}

const isChatCommand = (word: string | undefined): word is ChatCommand => chatCommands.some((one) => one === word);
