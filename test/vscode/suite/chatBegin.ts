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
