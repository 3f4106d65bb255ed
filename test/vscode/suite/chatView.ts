import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { commands, lm } from 'vscode';
import { toldChat } from '../chatPlace.ts';

/** VS Code's own extension registers it once it answers in the chat view: with nobody signed in, when there is a model of somebody else's. */
const chatIsReady = 'github.copilot.interactiveSession.feedback';
/** A real model takes minutes for a prompt of agent mode. */
export const patienceMs = toldChat() === null ? 150_000 : 900_000;
/** For what asks no model. */
const briefMs = 150_000;

/** What the command that writes into the chat view resolves to. */
export interface ChatResult {
  readonly metadata?: { readonly window?: unknown };
  readonly errorDetails?: { readonly message: string };
  /** `confirmation`: a person is asked before a tool runs. */
  readonly type?: string;
  readonly toolId?: string;
}

/** Turns VS Code's own extension on, which is off in a new profile. */
export async function chatAnswers(): Promise<void> {
  // What it opens waits for a person.
  void commands.executeCommand('workbench.action.chat.manage');
  await waitFor("VS Code's own chat", async () => (await commands.getCommands(true)).includes(chatIsReady));
}

/** Writes into the chat view what a person would. @returns the answer, which must be one. */
export async function say(query: string, more: object = {}): Promise<ChatResult> {
  const result = await write(query, more);
  assert.equal(result.errorDetails, undefined, JSON.stringify(result.errorDetails));
  return result;
}

/** The same, where the answer may be an error. */
export async function write(query: string, more: object = {}): Promise<ChatResult> {
  const result = await Promise.race([
    commands.executeCommand<ChatResult | undefined>('workbench.action.chat.open', {
      query,
      mode: 'agent',
      blockOnResponse: true,
      ...more,
    }),
    delay(patienceMs, 'late' as const),
  ]);
  if (result === 'late') assert.fail(`The chat has not answered "${query}" within ${patienceMs / 1000} s.`);
  assert.ok(result, `The chat has an answer to "${query}".`);
  return result;
}

/** A model of the test's server by this door, as VS Code takes it. */
export async function withModelOf(vendor: string): Promise<{ readonly modelSelector: object }> {
  const id = await waitFor(
    `a model of ${vendor}`,
    async () => {
      const models = await lm.selectChatModels({ vendor });
      return models.find((model) => model.id.includes('gemma') || model.name.includes('gemma'))?.id;
    },
    briefMs,
  );
  return { modelSelector: { vendor, id } };
}

export async function newChat(): Promise<void> {
  await commands.executeCommand('workbench.action.chat.newChat');
}

export async function waitFor<T>(
  what: string,
  ask: () => Promise<T | undefined | false>,
  limitMs = patienceMs,
): Promise<T> {
  for (const deadline = performance.now() + limitMs; ; await delay(100)) {
    const found = await ask();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > deadline) assert.fail(`Waited ${limitMs / 1000} s for ${what}, in vain.`);
  }
}
