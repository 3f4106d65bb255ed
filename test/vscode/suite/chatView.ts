import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { commands } from 'vscode';

/** VS Code's own extension registers it once it answers in the chat view: with nobody signed in, when there is a model of somebody else's. */
const chatIsReady = 'github.copilot.interactiveSession.feedback';
const patienceMs = 60_000;

/** What the command that writes into the chat view resolves to. */
export interface ChatResult {
  readonly metadata?: { readonly window?: unknown };
  readonly errorDetails?: { readonly message: string };
}

/** Turns VS Code's own extension on, which is off in a new profile. */
export async function chatAnswers(): Promise<void> {
  // What it opens waits for a person.
  void commands.executeCommand('workbench.action.chat.manage');
  await waitFor("VS Code's own chat", async () => (await commands.getCommands(true)).includes(chatIsReady));
}

/** Writes into the chat view what a person would. @returns the answer, which must be one. */
export async function say(query: string, more: object = {}): Promise<ChatResult> {
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
  assert.equal(result.errorDetails, undefined, JSON.stringify(result.errorDetails));
  return result;
}

export async function waitFor<T>(what: string, ask: () => Promise<T | undefined | false>): Promise<T> {
  for (const deadline = performance.now() + patienceMs; ; await delay(100)) {
    const found = await ask();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > deadline) assert.fail(`Waited ${patienceMs / 1000} s for ${what}, in vain.`);
  }
}
