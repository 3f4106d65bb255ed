import { afterEach } from 'mocha';
import assert from 'node:assert/strict';
import path from 'node:path';
import { workspace } from 'vscode';
import { scriptedServer } from '../../clients/scriptedServer.ts';
import { toldChat } from '../chatPlace.ts';
import { chatAnswers } from './chatView.ts';
import { ChatStorage } from './conversation.ts';

/** What is said in the first window of the story; each occurs once. */
export const saidBefore = ['Name a pear', 'And a plum', 'USETOOL please', 'Where the backend is new'] as const;

/** Of the 40 tools of agent mode, whose 55,000 characters take a model on two cores minutes: what VS Code offers in the story. */
export const tools = { toolsInclude: ['readFile'] } as const;

/** The same beginning in each window of the story: the server before the model, and a chat view that answers. */
export async function beginChat(cleanUps: (() => Promise<unknown>)[]) {
  const told = toldChat() ?? assert.fail('Start this suite with chatStory().');
  const [folder] = workspace.workspaceFolders ?? [];
  const file = path.join(folder?.uri.fsPath ?? '', 'README.md');
  const front = await scriptedServer(() => told.server.url, cleanUps, { file, port: told.frontPort });
  await chatAnswers();
  return { ...told, ...front, kept: new ChatStorage(told.storage) };
}

/** Prints what the model server was asked and what each branch has, where a test fails: an answer of the model may be why. */
export function tellOfFailures(at: () => Awaited<ReturnType<typeof beginChat>>): void {
  afterEach(async function () {
    if (this.currentTest?.state !== 'failed') return;
    const { seen, kept } = at();
    const asked = seen.map(({ chat: { messages, tools: offered = [] } }) => ({
      tools: offered.length,
      messages: messages.map(({ role, content }) => `${role}: ${JSON.stringify(content ?? null).slice(-200)}`),
    }));
    console.log(JSON.stringify({ asked, branches: await kept.branches() }, null, 1));
  });
}
