import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { VllmEngine } from '../../src/engines/vllm/vllmEngine.ts';
import { coreOver } from '../engines/llamaServer/coreOver.ts';
import { isNightly } from '../support/nightly.ts';
import { EngineProcess } from './support/engineProcess.ts';
import { writeScriptedModel } from './support/scriptedModel.ts';
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

/** The models below show the first two by themselves. */
const casesNow = Object.entries(cases).filter(([name]) => isNightly || name === 'with a tool list in another order');

describe('the embedded engine under a template', () => {
  test.each(casesNow)('%s: the next message uses what the thaw proved', async (_, [before, after]) => {
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

/** As models have it in their own file: every message between special tokens, old answers through a filter, a line before all. */
const ownTemplate = (line: string, answer: string): string =>
  `{{ '<|system|>' }}${line}{{ '<|end|>' }}{% for m in messages %}{{ '<|' + m['role'] + '|>' }}` +
  `{% if m['role'] == 'assistant' %}{{ ${answer} }}{% else %}{{ m['content'] }}{% endif %}{{ '<|end|>' }}{% endfor %}` +
  `{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}`;

/** Where it is always another day than where the first is. */
const [dayBefore, dayAfter] = [{ TZ: 'Etc/GMT+12' }, { TZ: 'Etc/GMT-14' }];

const modelsOwn = {
  'a date of today': {
    template: ownTemplate("{{ 'Today is ' + strftime_now('%d %b %Y') }}", "m['content']"),
    script: ['Ġthe', 'Ġfile', 'Ġtest'],
    said: 'the file test',
  },
  'the reasoning of old answers left out': {
    template: ownTemplate('Think.', "m['content'].split('</think>')[-1]"),
    script: ['<think>', 'Ġone', 'Ġcheck', '</think>', 'Ġthe', 'Ġfile'],
    said: '<think> one check</think> the file',
  },
} as const;

describe('a model whose own template has', () => {
  test.each(Object.entries(modelsOwn))(
    '%s: turn and thaw agree',
    async (_, { template: chatTemplate, script, said }) => {
      const folder = scratch();
      const marks = ['<think>', '</think>'];
      const model = writeScriptedModel(join(folder.path, 'scripted.gguf'), { marks, script, chatTemplate });
      const start = (env: NodeJS.ProcessEnv): Promise<EngineProcess> =>
        EngineProcess.startWith(env, join(folder.path, 'kv'), '--model', model, '--context', '4096');
      let server = await start(dayBefore);
      const engine = new VllmEngine({ spec: 'embedded', connect: async () => ({ url: server.url }) });
      const { cwm, ...core } = await coreOver(engine);
      onTestFinished(async () => {
        await core.dispose();
        await engine.close();
        await server.kill();
        folder[Symbol.dispose]();
      });
      await cwm.createSession({ id: 's' });
      const first = await cwm.send({ session: 's', text: 'What is this? '.repeat(40), maxTokens: 12 }, never);
      expect(first.text.trim()).toBe(said);
      await cwm.freeze({ session: 's', window: 'w', checkpoint: true }, never);
      await server.kill();
      server = await start(dayAfter);

      const receipt = await core.thaw();
      expect(receipt.verdict).toBe('proven');
      const { nextMessage } = receipt;
      expect(nextMessage).toMatchObject({ reusedTokens: Math.floor(receipt.tokens / 32) * 32, leavesAtToken: null });
      expect(nextMessage?.rerenderTokens).toBeGreaterThan(0);
      const sent = await cwm.send({ session: receipt.session, text: 'Continue.', maxTokens: 12 }, never);
      expect(sent.prefixBreak).toBeNull();
      expect(sent.promptTokens).toBe(nextMessage?.promptTokens);
      expect(sent.cachedTokens).toBeGreaterThanOrEqual(nextMessage?.reusedTokens ?? 0);
      expect(sent.text.trim()).toBe(said);
    },
  );
});
