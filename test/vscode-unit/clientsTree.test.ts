import { afterEach, expect, test, vi } from 'vitest';
import { CwmError } from '../../src/protocol/errors.ts';
import type { App } from '../../src/vscode/app.ts';
import { ViewState } from '../../src/vscode/state.ts';
import { registerClientsTree } from '../../src/vscode/views/clientsTree.ts';
import { eventually } from '../support/eventually.ts';

interface Tree {
  getChildren(): Promise<{ client: string }[]>;
}

const editor = vi.hoisted(() => ({ tree: undefined as unknown, drawn: 0 }));

vi.mock('vscode', () => ({
  EventEmitter: class {
    event = () => undefined;
    fire = () => void editor.drawn++;
    dispose = () => undefined;
  },
  window: {
    createTreeView: (_: string, { treeDataProvider }: { treeDataProvider: unknown }) => {
      editor.tree = treeDataProvider;
      return { visible: true, onDidChangeVisibility: () => ({ dispose() {} }), dispose() {} };
    },
  },
}));

afterEach(() => void vi.useRealTimers());

test('the clients are drawn again once they can be fetched, where the first fetch failed', async () => {
  vi.useFakeTimers();
  const fail = (error: unknown): never => {
    throw error;
  };
  let isBroken = true;
  const connection = {
    isOpen: true,
    onChange: () => ({ dispose() {} }),
    call: async () => {
      if (isBroken) throw new CwmError('OperationTimeout', 'It takes too long.');
      return { items: [{ name: 'codex', createdAt: new Date().toISOString(), requests: 1 }] };
    },
  };
  const state = new ViewState(fail);
  const log = { error: () => undefined };
  const tree = registerClientsTree({ state, connection, log } as unknown as App);
  const provider = editor.tree as Tree;
  await expect(provider.getChildren()).rejects.toThrow('too long');
  isBroken = false;
  state.update({ connection: { kind: 'connected' } });
  vi.runAllTimers();
  vi.useRealTimers();
  await eventually(() => expect(editor.drawn).toBe(1));
  expect(await provider.getChildren()).toMatchObject([{ client: 'codex' }]);
  tree.dispose();
});
