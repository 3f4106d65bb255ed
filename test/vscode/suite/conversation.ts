import assert from 'node:assert/strict';
import { commands } from 'vscode';
import type { BackendClient } from '../../../src/client/backendClient.ts';
import { connectBackend } from '../../../src/client/connectBackend.ts';
import { modelVendor } from '../../../src/vscode/contributions.ts';
import type { SeenChat } from '../../clients/scriptedServer.ts';
import { isRunning } from '../../support/isRunning.ts';
import type { Door } from '../chatPlace.ts';
import { say, waitFor, withModelOf } from './chatView.ts';
import { backendPid, done, state, until } from './support.ts';

/** The two ways by which VS Code's chat comes to the models of a model server. */
export const doors: readonly { readonly vendor: Door; readonly name: string }[] = [
  { vendor: modelVendor, name: 'the models of the extension' },
  { vendor: 'customendpoint', name: 'the Custom Endpoint that Connect a Client… writes' },
];

/** A session as the chat view's messages made it. */
export interface SaidSession {
  readonly id: string;
  readonly project: string | null;
  readonly branches: number;
  /** `ROLE: TEXT`, or `ROLE (CUT): TEXT` of an answer that was cut. */
  readonly said: readonly string[];
}

/** What conversations of VS Code's chat view leave in a storage directory, and the backend of it. */
export class ChatStorage {
  readonly #storage: string;

  constructor(storage: string) {
    this.#storage = storage;
  }

  /** Asks the backend of the editor, and starts none. */
  async backend<T>(ask: (client: BackendClient) => Promise<T>): Promise<T> {
    const client = await connectBackend({ storage: this.#storage, start: null });
    try {
      return await ask(client);
    } finally {
      client.dispose();
    }
  }

  /** Sets the Custom Endpoint up as a person does, for a window that is open. @param engine which all clients of the gateway get. */
  async connectCustomEndpoint(engine: string): Promise<void> {
    // The gateway's requests go to the model server of all clients.
    await this.backend((client) => client.call('useEngine', { engine }));
    await done('cwm.connectClient', { client: 'vscode', confirmed: true });
    // A window that is open reads the file again after a change that VS Code makes to it; otherwise at its start.
    const none = { vendor: 'customendpoint', name: 'none', models: [] };
    await commands.executeCommand('lm.migrateLanguageModelsProviderGroup', none);
  }

  /** The backend ends, and another one takes its place: by the next message where that asks the backend, else by a command. */
  async restartBackend(vendor: Door, gatewayPort: number): Promise<void> {
    const pid = backendPid(this.#storage);
    assert.ok(pid, 'a backend runs');
    await this.backend((client) => client.call('shutdown', {}));
    await until('the backend to end', () => !isRunning(pid));
    if (vendor === 'customendpoint') await this.untilGatewayListens(gatewayPort);
  }

  /** A client of the gateway starts no backend: a command of the window does. */
  async untilGatewayListens(port: number): Promise<void> {
    await done('cwm.status', {});
    await waitFor('the gateway to listen', () =>
      fetch(`http://127.0.0.1:${port}/`).then(
        ({ ok }) => ok,
        () => false,
      ),
    );
  }

  async sessions(): Promise<SaidSession[]> {
    return await this.backend(async (client) => {
      const { items } = await client.call('listSessions', {});
      return await Promise.all(
        items.map(async ({ id, project, branches }) => {
          const { items: messages } = await client.call('listMessages', { session: id });
          const said = messages.map(
            ({ role, content, cut = '' }) =>
              `${role}${cut && ` (${cut})`}: ${'text' in content ? content.text : content.type}`,
          );
          return { id, project, branches: Object.keys(branches).length, said };
        }),
      );
    });
  }

  /** What each branch of each session has, the ends of the messages. */
  async branches(): Promise<Record<string, readonly string[]>> {
    return await this.backend(async (client) => {
      const found: Record<string, readonly string[]> = {};
      for (const { id, branches } of (await client.call('listSessions', {})).items)
        for (const branch of Object.keys(branches)) {
          const { items } = await client.call('listMessages', { session: id, branch });
          found[`${id} ${branch}`] = items.map(
            ({ role, cut, content }) => `${role} (${cut}): ${JSON.stringify(content).slice(-200)}`,
          );
        }
      return found;
    });
  }
}

interface ConversationOptions {
  /** What was said in it before, in another window. Each text occurs in no other conversation. */
  readonly texts?: readonly string[];
  /** The tools that VS Code offers to the model, by name. Default: all of agent mode. */
  readonly toolsInclude?: readonly string[];
}

/** One conversation of the chat view. All that is said in it must be one session of the folder. */
export class Conversation {
  readonly #kept: ChatStorage;
  readonly #more: object;
  readonly #vendor: Door;
  readonly #texts: string[];

  constructor(kept: ChatStorage, vendor: Door, { texts = [], ...more }: ConversationOptions = {}) {
    this.#kept = kept;
    this.#more = more;
    this.#vendor = vendor;
    this.#texts = [...texts];
  }

  async say(text: string): Promise<void> {
    await say(text, { ...(await withModelOf(this.#vendor)), ...this.#more });
    this.#texts.push(text);
  }

  /** Waits until the last text is stored; then there is one session, of the folder, whose turns are what was said, each once and in order. */
  async session(): Promise<SaidSession> {
    const last = this.#texts.at(-1) ?? '';
    const found = await waitFor(`"${last}" to be a turn`, async () => {
      const ofIt = (await this.#kept.sessions()).filter(({ said }) => this.#texts.some((text) => has(said, text)));
      return ofIt.some(({ said }) => has(said, last)) && ofIt;
    });
    const { project } = state();
    const asked = (said: readonly string[]): string[] =>
      said
        .filter((line) => line.startsWith('user'))
        // VS Code's own: what it says of the folder, before the first message of a conversation.
        .filter((line, at) => at > 0 || this.#texts.some((text) => line.includes(text)))
        .map((line) => this.#texts.find((text) => line.includes(text)) ?? line.slice(0, 200));
    assert.deepEqual(
      found.map(({ project: of, branches, said }) => [of, branches, asked(said)]),
      [[project.kind === 'folder' ? project.uri : null, 1, this.#texts]],
    );
    return found[0] ?? assert.fail();
  }
}

/** What the chat asks for beside the conversation, where it has time to. */
export const errandKinds = { title: /write a brief title/, 'progress messages': /progress messages/ };
/** Turns in agent mode have tools. */
export const errandsOf = (seen: readonly SeenChat[]): SeenChat[] =>
  seen.filter(({ chat }) => (chat.tools?.length ?? 0) === 0);

/** The beginnings of what VS Code asked for beside conversations that nobody here knows. */
export const strangeErrands = (seen: readonly SeenChat[]): string[] =>
  errandsOf(seen)
    .map(({ chat }) => JSON.stringify(chat.messages))
    .filter((text) => !Object.values(errandKinds).some((words) => words.test(text)))
    .map((text) => text.slice(0, 300));

/** Lines of sessions that were asked for beside a conversation. */
export function errandsIn(seen: readonly SeenChat[], sessions: readonly SaidSession[]): string[] {
  const asked = errandsOf(seen).flatMap(({ chat }) => chat.messages.map(({ content }) => content));
  return sessions
    .flatMap(({ said }) => said)
    .filter(
      (line) =>
        Object.values(errandKinds).some((words) => words.test(line)) ||
        asked.some((text) => typeof text === 'string' && line === `user: ${text}`),
    );
}

/** What the model was last told that a tool answered. */
export const lastResult = (seen: readonly SeenChat[]): string =>
  JSON.stringify(seen.findLast(({ chat }) => chat.messages.at(-1)?.role === 'tool')?.chat.messages.at(-1) ?? null);

const has = (said: readonly string[], text: string): boolean => said.some((line) => line.includes(text));
