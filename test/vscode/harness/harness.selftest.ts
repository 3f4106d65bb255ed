import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { artifactPath } from './artifacts.ts';
import { ensureChromium } from './chromium.ts';
import { HarnessError } from './harnessError.ts';
import { ensureCodeServer } from './installation.ts';
import { runSuite } from './runSuite.ts';
import type { SuiteOptions } from './runSuite.ts';
import { withWorkbench } from './withWorkbench.ts';

// Proves the harness on a tiny extension: `node test/vscode/harness/harness.selftest.ts [NAME]`. Exits 1 when a proof fails.

const fixture = path.join(import.meta.dirname, 'fixture');
const extension = path.join(fixture, 'extension');
const suite = (name: string): SuiteOptions => ({
  testFiles: [path.join(fixture, 'suite', `${name}.suite.ts`)],
  extensionDevelopmentPaths: [extension],
  settings: { 'editor.tabSize': 7 },
  environment: { HARNESS_SELF_TEST: 'yes' },
});

const proofs: Readonly<Record<string, () => Promise<void>>> = {
  async installed() {
    assert.match((await ensureCodeServer()).vscodeVersion, /^1\.\d+\.\d+$/);
    assert.ok(existsSync(await ensureChromium()));
  },

  async green() {
    const result = await runSuite(suite('green'));
    assert.deepEqual(result, { passed: 2, failed: 0, skipped: 0, failures: [] });
  },

  async red() {
    const result = await runSuite(suite('red'));
    assert.deepEqual([result.passed, result.failed, result.skipped], [1, 1, 1]);
    assert.equal(result.failures[0]?.title, 'a red suite fails once');
    assert.match(result.failures[0].message, /one is not two/);
    assert.match(result.failures[0].stack, /red\.suite\.ts:\d+/);
  },

  async hanging() {
    await assert.rejects(runSuite({ ...suite('hang'), timeoutMs: 20_000 }), (error: unknown) => {
      assert.ok(error instanceof HarnessError);
      assert.match(error.message, /stopped at: a hanging suite never ends/);
      assert.match(error.message, /did not end within 20 s/);
      assert.ok(existsSync(/Screenshot: (.*)/.exec(error.message)?.[1] ?? ''));
      return true;
    });
  },

  async aborted() {
    const signal = AbortSignal.timeout(2_000);
    await assert.rejects(runSuite({ ...suite('hang'), signal }), { name: 'TimeoutError' });
  },

  async 'user interface'() {
    await withWorkbench(
      { name: 'harness-selftest', extensionFolders: [extension], folder: fixture },
      async (workbench) => {
        assert.equal(await workbench.statusBar('fixture ready'), 'fixture ready');
        await workbench.runCommand('Harness Fixture: Greet');
        await assert.rejects(workbench.quickInput.fill('nobody', 'Whom to greet'), /somebody, please/);
        await workbench.quickInput.fill('Ann');
        assert.deepEqual(await workbench.quickInput.labels(), ['Loud', 'Quiet']);
        await workbench.quickInput.pick('Loud');
        assert.equal(await workbench.statusBar('greeted'), 'greeted Ann');
        assert.equal(await workbench.notification('Hello'), 'Hello Ann!');
        await workbench.screenshot(artifactPath('harness-selftest.png'));
        await workbench.answerNotification('Hello Ann', 'Enough');
        await workbench.statusBar('answer Enough');

        await workbench.openView('Harness Fixture');
        const tree = workbench.tree('Fruit');
        await tree.expand('basket');
        await tree.waitForTexts(['basket 2 pieces', 'apple ripe', 'pear ripe']);
        await assert.rejects(tree.chooseMenuItem('apple', 'Peel'), /It offers:\n\s+Erase/);
        await tree.chooseMenuItem('apple', 'Erase');
        await workbench.answerDialog('Erase apple?', 'Erase');
        await workbench.statusBar('erased apple');
        await workbench.reload();
        await workbench.statusBar('fixture ready');
      },
    );
  },

  async 'failing user interface'() {
    const run = withWorkbench({ name: 'harness-selftest-red', extensionFolders: [extension] }, (workbench) =>
      workbench.statusBar('no such text', 1_000),
    );
    await assert.rejects(run, (error: unknown) => {
      assert.ok(error instanceof HarnessError);
      assert.ok(existsSync(/Screenshot: (.*)/.exec(error.message)?.[1] ?? ''));
      assert.match(error.message, /Server log: .*/);
      return true;
    });
  },
};

const chosen = process.argv.slice(2);
for (const [name, prove] of Object.entries(proofs)) {
  if (chosen.length > 0 && !chosen.includes(name)) continue;
  const start = performance.now();
  try {
    await prove();
    console.log(`ok    ${name} (${Math.round(performance.now() - start)} ms)`);
  } catch (error) {
    console.log(`FAIL  ${name} (${Math.round(performance.now() - start)} ms)\n`, error);
    process.exitCode = 1;
  }
}
