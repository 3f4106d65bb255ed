import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { VllmEngine } from '../../src/engines/vllm/vllmEngine.ts';
import { coreOver } from '../engines/llamaServer/coreOver.ts';
import { EngineProcess } from './support/engineProcess.ts';
import { scratch, smallModel } from './support/smallModel.ts';

const never = new AbortController().signal;

/** ChatML behind a first line, with a filter over what earlier answers say. */
const template = (line: string, answers = ''): string =>
  `{{ '<|im_start|>system\\n${line}<|im_end|>\\n' }}{% for m in messages %}` +
  `{{ '<|im_start|>' + m['role'] + '\\n' + (m['content']${answers} if m['role'] == 'assistant' else m['content']) + '<|im_end|>\\n' }}` +
  `{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}`;

const cases = {
  'with a date': [template('Today is Monday.'), template('Today is Tuesday.')],
  'that drops the beginning of old answers, as with reasoning': [template('Think.'), template('Think.', '[5:]')],
  'with a tool list in another order': [template('Tools: read, write, list.'), template('Tools: list, read, write.')],
} as const;

describe('the embedded engine under a template', () => {
  test.each(Object.entries(cases))('%s: the next message uses what the thaw proved', async (_, [before, after]) => {
    const folder = scratch();
    const model = smallModel(folder.path);
    const start = (source: string): Promise<EngineProcess> => {
      const file = join(folder.path, 'template.jinja');
      writeFileSync(file, source);
      return EngineProcess.start(
        join(folder.path, 'kv'),
        '--model',
        model,
        '--context',
        '4096',
        '--chat-template',
        file,
      );
    };
    let server = await start(before);
    const engine = new VllmEngine({ spec: 'embedded', connect: async () => ({ url: server.url }) });
    const { cwm, ...core } = await coreOver(engine);
    onTestFinished(async () => {
      await core.dispose();
      await engine.close();
      await server.kill();
      folder[Symbol.dispose]();
    });
    await core.keep();
    await server.kill();
    server = await start(after);

    const receipt = await core.thaw();
    expect(receipt.verdict).toBe('proven');
    const { nextMessage } = receipt;
    expect(nextMessage).toMatchObject({ reusedTokens: Math.floor(receipt.tokens / 32) * 32, leavesAtToken: null });
    expect(nextMessage?.rerenderTokens).toBeGreaterThan(0);
    const sent = await cwm.send({ session: receipt.session, text: 'Continue.', maxTokens: 12 }, never);
    expect(sent.prefixBreak).toBeNull();
    expect(sent.promptTokens).toBe(nextMessage?.promptTokens);
    expect(sent.cachedTokens).toBeGreaterThanOrEqual(nextMessage?.reusedTokens ?? 0);
  });
});
