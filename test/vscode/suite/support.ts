import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ConfigurationTarget, Uri, commands, extensions, window, workspace } from 'vscode';
import type { RouteOutput } from '../../../src/protocol/api.ts';
import type { Session } from '../../../src/protocol/schemas/session.ts';
import type { CommandResult } from '../../../src/vscode/commands/command.ts';
import type { CommandId, CommandInput, CommandOutput } from '../../../src/vscode/contributions.ts';
import type { SettingId } from '../../../src/vscode/settings/settingTable.ts';
import type { ExtensionApi } from '../../../src/vscode/extension.ts';
import { isRunning } from '../../support/isRunning.ts';

const extensionId = 'context-window-manager.context-window-manager';

export const extension = () => {
  const found = extensions.getExtension<ExtensionApi>(extensionId);
  assert.ok(found, `${extensionId} is installed`);
  return found;
};

/** What the views show now. */
export const state = (): ExtensionApi['state'] => extension().exports.state;

/** The session that the status bar shows. */
export function currentSession(): Session | undefined {
  const { currentSession } = state();
  return currentSession.kind === 'session' ? currentSession.session : undefined;
}

/** Polls until `probe` gives something. Fails naming what it waited for. */
export async function until<T>(what: string, probe: () => T | undefined | false, timeoutMs = 60_000): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const found = probe();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > deadline) assert.fail(`Waited ${timeoutMs / 1000} s for ${what}, in vain. ${shown()}`);
    await delay(50);
  }
}

/** What the window shows, for the message of a test that waited in vain. */
function shown(): string {
  const { project, connection, currentSession, sessions, engine, operations } = state();
  const editor = window.activeTextEditor?.document.uri.toString() ?? null;
  const visible = window.visibleTextEditors.map(({ document }) => document.uri.toString());
  const folders = workspace.workspaceFolders?.map(({ uri }) => uri.toString()) ?? [];
  const { isTrusted } = workspace;
  const listed = sessions.kind === 'loaded' ? sessions.items.map(({ id }) => id) : sessions.kind;
  const there = { project, connection, currentSession, listed, engine, operations };
  return JSON.stringify({ ...there, editor, visible, folders, isTrusted, focused: window.state.focused });
}

export const run = async <Id extends CommandId>(
  id: Id,
  input: CommandInput<Id>,
): Promise<CommandResult<CommandOutput<Id>>> => commands.executeCommand(id, input);

/** Runs a command that must succeed. */
export async function done<Id extends CommandId>(id: Id, input: CommandInput<Id>): Promise<CommandOutput<Id>> {
  const result = await run(id, input);
  if (result.kind !== 'done') assert.fail(`${id} ended as ${JSON.stringify(result)}`);
  return result.value;
}

/** Runs a command that must fail, and returns the code that the user is shown. */
export async function refused<Id extends CommandId>(id: Id, input: CommandInput<Id>): Promise<string> {
  const result = await run(id, input);
  if (result.kind !== 'failed') assert.fail(`${id} ended as ${JSON.stringify(result)}`);
  assert.notEqual(result.error.hint, '');
  return result.error.code;
}

/** Opens a file of a folder, so that the user works in this folder. */
export async function workIn(folder: string): Promise<void> {
  await window.showTextDocument(Uri.file(path.join(folder, 'README.md')));
  await until(`${folder} to be the folder that is worked in`, () => {
    const { project } = state();
    return project.kind === 'folder' && project.uri.endsWith(`/${path.basename(folder)}`);
  });
}

/**
 * Resolves when the window shows all folders of its workspace file. VS Code's browser workbench sometimes takes the file for an empty one at
 * start (about one start in three here), and reads it again only when it changes.
 */
export async function showsFolders(count: number): Promise<void> {
  const file = workspace.workspaceFile;
  const has = (): boolean => (workspace.workspaceFolders?.length ?? 0) === count;
  assert.ok(file, 'the window has a workspace file');
  for (let tries = 0; !has() && tries < 10; tries++) {
    await delay(1_000);
    if (has()) break;
    console.log('VS Code took the workspace file for an empty one. It is written again.');
    writeFileSync(file.fsPath, `${readFileSync(file.fsPath, 'utf8')}\n`);
  }
  await until(`the window to show ${count} folders`, has);
}

/** Changes a setting; `undefined` takes it back. Resolves when the extension has heard of it, which may be after VS Code wrote it. */
export async function set(id: SettingId, value: unknown): Promise<void> {
  await workspace.getConfiguration().update(id, value, ConfigurationTarget.Global);
  await until(`${id} to be changed`, () => {
    const inspected = workspace.getConfiguration().inspect(id);
    return inspected?.globalValue === value;
  });
}

/** A storage directory of this test file's own, used from now on. */
export async function useFreshStorage(): Promise<{ readonly path: string; remove(): Promise<void> }> {
  const storage = mkdtempSync(path.join(tmpdir(), 'cwm-suite-'));
  await set('cwm.storageDirectory', storage);
  await until('the old storage to be let go', () => state().connection.kind === 'idle');
  return {
    path: storage,
    async remove() {
      await set('cwm.storageDirectory', undefined);
      await endBackend(storage);
      rmSync(storage, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
    },
  };
}

export const backendPid = (storage: string): number | undefined => {
  try {
    const record: unknown = JSON.parse(readFileSync(path.join(storage, 'backend.json'), 'utf8'));
    return Number((record as { pid: unknown }).pid);
  } catch {
    return undefined;
  }
};

async function endBackend(storage: string): Promise<void> {
  const pid = backendPid(storage);
  if (pid === undefined) return;
  process.kill(pid, 'SIGTERM');
  await until('the backend to end', () => !isRunning(pid));
}

/** The embedded engine's process, as the status command tells it. */
export async function enginePid(): Promise<number> {
  const health: RouteOutput<'health'> | undefined = await done('cwm.status', {});
  const pid = health?.engines.find(({ spec }) => spec === 'embedded')?.pid;
  assert.ok(pid, 'the embedded engine runs');
  return pid;
}
