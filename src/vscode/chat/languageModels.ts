import type { IncomingMessage } from 'node:http';
import {
  LanguageModelDataPart,
  LanguageModelError,
  LanguageModelTextPart,
  LanguageModelToolCallPart,
  type CancellationToken,
  type LanguageModelChatInformation,
  type LanguageModelChatProvider,
} from 'vscode';
import { CwmError, toCwmError } from '../../protocol/errors.ts';
import type { EngineStatus } from '../../protocol/schemas/health.ts';
import { problemText } from '../../words/failure.ts';
import type { App } from '../app.ts';
import { type Asked, chatBody, countedMessages } from './chatBody.ts';
import { engineOfNewSessions } from '../settings/engineSpec.ts';
import { folderOfChat, rememberChat } from './chatSessions.ts';
import { readChatStream, type StreamedCall } from './chatStream.ts';
import { somethingIsStored } from '../following/wakeUp.ts';
import { folderUri } from '../following/project.ts';
import { signalOf } from './signalOf.ts';

/** Of a server that does not say how much its model takes. */
const unknownContextTokens = 8192;
/** Largest part of the context that is left for an answer. */
const mostAnswerTokens = 8192;
/** Where the model server does not count. */
const charactersPerToken = 3.5;
/** The gateway says so of a request that the model server refuses. Any other failure may pass, such as a server that is not there. */
const refusedCount = /does not count/;
/** Of the model that is listed before anybody asked the server which it has. */
const unaskedId = 'model-server';
/** Where the server does not say: so much that the first message of an agent, with its tools, fits; the server refuses what it does not take. */
const unaskedContextTokens = 32_768;
/** VS Code counts the same messages again with each turn. */
const mostCounts = 2000;

/** The models of the model server for VS Code's own chat. Requests take the gateway's way, so that conversations become sessions as there. */
export function languageModels(app: App): LanguageModelChatProvider {
  const counts = new Map<string, number | null>();
  /**
   * What VS Code knows. It stays so while nobody can say which models there are, and the one that stands for those of a server that nobody asked stays
   * for good: VS Code refuses the next message of a conversation whose model is gone, those to @window as well.
   */
  let shown: LanguageModelChatInformation[] = [];
  const post = async (
    path: string,
    { model, ...body }: Asked,
    signal: AbortSignal,
    folder = folderUri(app.state.current),
  ): Promise<IncomingMessage> => {
    const engine = await engineOfNewSessions(app.connection);
    const named = model === unaskedId ? (await app.connection.call('listModels', { engine }, { signal })).used : model;
    return await app.connection.gateway(path, JSON.stringify({ ...body, model: named }), { engine, folder, signal });
  };
  /** @param silent where the server is known to be down, VS Code does not wait before each message until it is asked again. */
  const listed = async (silent: boolean): Promise<LanguageModelChatInformation[]> => {
    const spec = await engineOfNewSessions(app.connection);
    const { engine: state } = app.state.current;
    if (silent && state.kind === 'down' && state.status.spec === spec) return shown;
    // Those of the server that answers, which a setting may name.
    const { models, used, engine } = await app.connection.call('listModels', { engine: spec });
    // It was asked just now. The others, which may be slow, are not.
    const { engines } = await app.connection.call('health', {});
    const status = engines.find(({ spec }) => spec === engine);
    const offered = models.filter(({ use, id }) => use !== 'other' || id === used);
    const isUnaskedShown = shown.some(({ id }) => id === unaskedId);
    return [...offered.map(({ id }) => informationOf(id, status)), ...(isUnaskedShown ? [unasked(status)] : [])];
  };
  return {
    async provideLanguageModelChatInformation({ silent }) {
      // VS Code asks silently at its start. That may start no backend. When one is connected, the event makes VS Code ask again.
      if (!silent || app.connection.isOpen) {
        try {
          shown = await listed(silent);
        } catch (error) {
          app.log.warn('Nobody can say which models there are.', error);
        }
      } else if (shown.length === 0 && (await isConnecting(app))) return [];
      // Without any model, VS Code refuses every message, those to @window as well.
      if (shown.length === 0) shown = [unasked()];
      return shown;
    },
    async provideLanguageModelChatResponse(model, messages, options, progress, token) {
      const cancelled = signalOf(token);
      try {
        const { workspaceState } = app.context;
        const conversation: unknown = options.modelOptions?.['_conversationId'];
        // The editor in front may be one of another folder by now.
        const folder = folderOfChat(workspaceState, conversation) ?? folderUri(app.state.current);
        const asked = chatBody(model, messages, options);
        const answer = await post('/v1/chat/completions', asked, cancelled.signal, folder);
        if (answer.statusCode !== 200) throw await refusal(answer);
        rememberChat(workspaceState, conversation, answer.headers, folder);
        const listener = {
          text: (piece: string) => progress.report(new LanguageModelTextPart(piece)),
          call: (call: StreamedCall) => progress.report(new LanguageModelToolCallPart(call.id, call.name, call.input)),
          // The ring of the chat view reads this part; it is a convention of VS Code's own extension.
          usage: (usage: object) => progress.report(LanguageModelDataPart.json(usage, 'usage')),
        };
        const { max_tokens: most, max_completion_tokens: mostToo } = options.modelOptions ?? {};
        await readChatStream(answer, listener, most !== undefined || mostToo !== undefined);
      } catch (error) {
        if (cancelled.signal.aborted || error instanceof LanguageModelError) throw error;
        throw new Error(problemText(toCwmError(error)), { cause: error });
      } finally {
        cancelled.dispose();
      }
    },
    async provideTokenCount({ id }, text, token) {
      const messages = typeof text === 'string' ? [{ role: 'user', content: text }] : countedMessages(text);
      const asked = JSON.stringify(messages);
      const key = `${id}\n${asked}`;
      const known = counts.has(key) ? counts.get(key) : await counted(post, id, messages, token);
      if (known !== undefined) {
        counts.set(key, known);
        const [oldest] = counts.keys();
        if (counts.size > mostCounts && oldest !== undefined) counts.delete(oldest);
      }
      return known ?? Math.ceil(asked.length / charactersPerToken);
    },
  };
}

/** Whether a connection is opened without a command, so that the models follow soon. */
async function isConnecting({ state, context }: App): Promise<boolean> {
  const { kind } = state.current.connection;
  return kind === 'starting' || (kind === 'idle' && (await somethingIsStored(context)));
}

/** The first message to it starts the backend. */
const unasked = (known?: EngineStatus): LanguageModelChatInformation => ({
  ...informationOf(unaskedId, { ...known, maxModelLen: known?.maxModelLen ?? unaskedContextTokens }),
  name: "Your Model Server's Model",
});

/** VS Code takes input and output together for the model's context. */
export function informationOf(
  id: string,
  { maxModelLen = null, kind = null, takesPictures = false }: Partial<EngineStatus> = {},
): LanguageModelChatInformation {
  const context = maxModelLen ?? unknownContextTokens;
  const maxOutputTokens = Math.min(mostAnswerTokens, Math.floor(context / 4));
  return {
    id,
    name: id,
    family: id,
    version: '1',
    detail: 'Context Windows',
    tooltip: `Your model server${kind === null ? '' : ` (${kind})`}. Conversations become sessions.`,
    maxInputTokens: context - maxOutputTokens,
    maxOutputTokens,
    capabilities: { toolCalling: true, imageInput: takesPictures },
  };
}

/** By the model server; null: it does not count this, and need not be asked again; undefined: it did not answer. */
async function counted(
  post: (path: string, body: Asked, signal: AbortSignal) => Promise<IncomingMessage>,
  model: string,
  messages: readonly object[],
  token: CancellationToken,
): Promise<number | null | undefined> {
  const cancelled = signalOf(token);
  try {
    const answer = await post('/v1/messages/count_tokens', { model, messages }, cancelled.signal);
    const said = await textOf(answer);
    if (answer.statusCode !== 200) return refusedCount.test(messageIn(said) ?? '') ? null : undefined;
    const { input_tokens: count } = JSON.parse(said) as { input_tokens?: unknown };
    return typeof count === 'number' ? count : null;
  } catch {
    return undefined;
  } finally {
    cancelled.dispose();
  }
}

/** In the model server's own words. */
async function refusal(answer: IncomingMessage): Promise<Error> {
  const text = await textOf(answer);
  const said = messageIn(text) ?? `The model server answered ${answer.statusCode}.`;
  if (answer.statusCode === 404) return LanguageModelError.NotFound(said);
  if (answer.statusCode === 401 || answer.statusCode === 403) return LanguageModelError.NoPermissions(said);
  return new CwmError('EngineRejected', said);
}

function messageIn(text: string): string | null {
  try {
    const { error } = JSON.parse(text) as { error?: { message?: unknown } };
    return typeof error?.message === 'string' ? error.message : null;
  } catch {
    return null;
  }
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const piece of answer) pieces.push(piece as Uint8Array);
  return Buffer.concat(pieces).toString('utf8');
}
