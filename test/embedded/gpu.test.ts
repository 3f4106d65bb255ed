import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import { cachedBy, EngineProcess, promptIds, saidBy } from './support/engineProcess.ts';
import { scratch, smallModel } from './support/smallModel.ts';

/** Mesa's Vulkan device in software. It compiles shaders for minutes, so CI tries it only where it is asked for. */
const driver = '/usr/share/vulkan/icd.d/lvp_icd.x86_64.json';
const isAsked = process.env['CWM_TEST_VULKAN'] !== undefined;

function whyNot(): string | null {
  if (!isAsked) return 'CWM_TEST_VULKAN is not set';
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'the binary is for linux-x64';
  if (!existsSync(driver)) return 'mesa-vulkan-drivers is not installed';
  try {
    createRequire(import.meta.url).resolve('@node-llama-cpp/linux-x64-vulkan');
    return null;
  } catch {
    return '@node-llama-cpp/linux-x64-vulkan is not installed';
  }
}

describe('the embedded engine on a GPU', () => {
  const reason = whyNot();
  it.skipIf(reason !== null)(
    `names the device, and loses nothing in kill -9${reason === null ? '' : ` (skipped: ${reason})`}`,
    { timeout: 900_000 },
    async () => {
      using folder = scratch();
      const flags = ['--model', smallModel(folder.path), '--context', '1024', '--gpu', 'vulkan'];
      process.env['GGML_VK_VISIBLE_DEVICES'] = '0';
      let engine = await EngineProcess.start(`${folder.path}/kv`, ...flags);
      const { version } = await engine.get<{ version: string }>('/version');
      expect(version).toContain('(vulkan');
      const prompt = promptIds(100, 1);
      const cold = await engine.complete(prompt);
      await engine.kill();
      engine = await EngineProcess.start(engine.kvDir, ...flags);
      const warm = await engine.complete(prompt);
      await engine.kill();
      expect([cold, warm].map(cachedBy)).toEqual([0, 96]);
      expect(warm.choices[0]?.token_ids).toEqual(cold.choices[0]?.token_ids);
      expect(saidBy(warm)).toEqual(saidBy(cold));
    },
  );
});
