import { describe, expect, onTestFinished, test } from 'vitest';
import type { ChatMessage } from '../../../src/core/ports/engine.ts';
import { LinkFactory } from '../../../src/engines/http/linkFactory.ts';
import { defaultTimeouts, systemSleep, systemTimer } from '../../../src/engines/http/timing.ts';
import { isLlamaServer } from '../../../src/engines/llamaServer/serverIdentity.ts';
import { makeRig, never } from './rig.ts';

const request = (messages: readonly ChatMessage[], addGenerationPrompt = true) => ({
  messages,
  salt: 's',
  maxTokens: 16,
  temperature: 0,
  addGenerationPrompt,
});
async function recognised(url: string): Promise<boolean> {
  const links = new LinkFactory({
    connect: async () => ({ url }),
    apiKey: undefined,
    timeouts: defaultTimeouts,
    timer: systemTimer,
    sleep: systemSleep,
    random: () => 0,
    onConnectionFailure: () => undefined,
  });
  onTestFinished(() => links.close());
  return links.use(never, isLlamaServer);
}

const hello: ChatMessage = { role: 'user', content: 'Hello' };

describe('token ids of a turn', () => {
  test('the prompt’s ids are those that were sent, special tokens included', async () => {
    const rig = await makeRig();
    const { promptIds, idsSource } = await rig.engine.generate(request([hello]), () => undefined, never);
    const [sent] = rig.fake.requestsTo('/completion');
    expect(sent?.body).toMatchObject({ prompt: promptIds });
    expect(promptIds.slice(0, 2)).toEqual([256, 117]);
    expect(idsSource).toBe('engine');
  });

  test('progress is not requested, because its chunks carry an id that belongs to no token', async () => {
    const rig = await makeRig();
    await rig.engine.generate(request([hello]), () => undefined, never);
    expect(rig.fake.requestsTo('/completion')[0]?.body).not.toHaveProperty('return_progress');
  });

  test('the id that ends an answer belongs to it', async () => {
    const rig = await makeRig({ fake: { faults: { answer: [72, 105, 257] } } });
    const answer = await rig.engine.generate(request([hello]), () => undefined, never);
    expect(answer).toMatchObject({ text: 'Hi', outputIds: [72, 105, 257], finishReason: 'stop', idsSource: 'engine' });
  });

  test('ids that the stream leaves out, inside a character, are worked out from the text, and that is said', async () => {
    const bytes = [...Buffer.from('é😀!')];
    const rig = await makeRig({ fake: { faults: { answer: [...bytes, 257] } } });
    const deltas: string[] = [];
    const answer = await rig.engine.generate(request([hello]), ({ text }) => text && deltas.push(text), never);
    expect(deltas).toEqual(['é', '😀', '!']);
    expect(answer).toMatchObject({ text: 'é😀!', outputIds: [...bytes, 257], idsSource: 'tokenize' });
  });

  test('an answer at the end is closed, not left open to be continued, when no answer is wanted', async () => {
    const rig = await makeRig();
    const primed: ChatMessage[] = [hello, { role: 'assistant', content: 'Understood.' }];
    const ids = await rig.engine.tokenize(primed, false, never);
    const open = await rig.engine.tokenize(primed, true, never);
    expect(ids.length).toBeGreaterThan(open.length);
    for (const content of ['Go on', '\nand now?', '42']) {
      const next = await rig.engine.tokenize([...primed, { role: 'user', content }], true, never);
      expect(next.slice(0, ids.length)).toEqual(ids);
    }
    const generation = await rig.engine.generate(request(primed, false), () => undefined, never);
    expect(generation.promptIds).toEqual(ids);
  });
});

describe('what a llama-server is', () => {
  test('its slots, its model and a fingerprint of its shape are described', async () => {
    const rig = await makeRig();
    const description = await rig.engine.describe(never);
    expect(description).toMatchObject({
      kind: 'llama-server',
      version: 'b7000-fake',
      model: { id: 'fake-llama', root: '/models/fake.gguf', maxModelLen: 4096 },
      blockTokens: 1,
      hashProfile: null,
    });
    expect(description.model.fingerprint).toMatch(/^shape-[0-9a-f]{16}$/);
    rig.fake.faults.weights = 'other weights, other shape';
    expect((await rig.engine.describe(never)).model.fingerprint).not.toBe(description.model.fingerprint);
  });

  test('the notices say what the user can change', async () => {
    const notices = async (options: Parameters<typeof makeRig>[0]): Promise<string> =>
      (await (await makeRig(options)).engine.describe(never)).notices.join(' ');
    expect(await notices({})).not.toContain('#slots=');
    expect(await notices({ folder: 'out of sight' })).toContain('#slots=DIR');
    expect(await notices({ folder: 'none' })).toContain('--slot-save-path DIR');
    expect(await notices({ fake: { faults: { hidesSlots: true } } })).toContain('--no-slots');
  });

  test('it is known by its own routes, whatever its name, and never where the owner of the model is vllm', async () => {
    const asks = async (ownedBy: string, hasProps: boolean): Promise<boolean> => {
      const rig = await makeRig({ fake: { faults: { ownedBy } } });
      if (!hasProps) rig.fake.faults.http = { kind: 'status', status: 404, path: '/props' };
      return recognised(rig.fake.url);
    };
    expect(await asks('llamacpp', true)).toBe(true);
    expect(await asks('a proxy', true)).toBe(true);
    // Without its props nothing can be asked of it, whatever its name.
    expect(await asks('llamacpp', false)).toBe(false);
    expect(await asks('a proxy', false)).toBe(false);
    expect(await asks('vllm', true)).toBe(false);
  });
});
