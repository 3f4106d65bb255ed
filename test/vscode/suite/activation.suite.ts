import { describe, it } from 'mocha';
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { commands, lm } from 'vscode';
import { commandInputs, modelVendor } from '../../../src/vscode/contributions.ts';
import { extension, state, until } from './support.ts';

describe('activation', () => {
  it('V1 happens by itself, and awaits neither a process nor a file', async () => {
    await until('the extension to be active', () => extension().isActive, 60_000);
    const { activationMs, connectionAtActivation } = extension().exports;
    console.log(`activate() took ${activationMs.toFixed(1)} ms`);
    assert.equal(connectionAtActivation, 'idle');
  });

  it('starts no backend where nothing was ever kept', async () => {
    await until('the tree to be empty', () => state().sessions.kind === 'loaded');
    assert.equal(state().connection.kind, 'idle');
    assert.equal(existsSync(path.join(extension().extensionPath, 'backend.json')), false);
  });

  it("V8 has a model to pick in VS Code's chat, which starts no backend", async () => {
    await until('the model', async () => (await lm.selectChatModels({ vendor: modelVendor })).length > 0);
    assert.equal(state().connection.kind, 'idle');
  });

  it('V1 registers every command of the manifest', async () => {
    const registered = new Set(await commands.getCommands(true));
    assert.deepEqual(
      Object.keys(commandInputs).filter((id) => !registered.has(id)),
      [],
    );
  });

  it('V1 no command throws at its caller, whatever it is given', async () => {
    const result: unknown = await commands.executeCommand('cwm.freeze', { session: 42 });
    assert.deepEqual((result as { kind: string; error: { code: string } }).error.code, 'CWM-1003');
  });
});
