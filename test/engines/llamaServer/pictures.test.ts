import { describe, expect, test } from 'vitest';
import type { GenerateRequest } from '../../../src/core/ports/engine.ts';
import { coreOver } from './coreOver.ts';
import { contextOf, failure, makeRig, never, someIds, type Rig } from './rig.ts';

const data = Buffer.from('\x89PNG\r\n\x1a\n red', 'latin1').toString('base64');
const picture = { type: 'image', mediaType: 'image/png', sha256: 'f'.repeat(64), sizeBytes: 12, data } as const;

const ask = ({ engine }: Rig, more: Partial<GenerateRequest> = {}) =>
  engine.generate(
    {
      messages: [{ role: 'user', content: 'What is this?', media: [picture] }],
      salt: 's',
      maxTokens: 4,
      temperature: 0,
      addGenerationPrompt: true,
      ...more,
    },
    () => undefined,
    never,
  );

describe('pictures on llama-server', () => {
  test('are sent behind the rendered text, whose ids nobody claims to know', async () => {
    const rig = await makeRig({ fake: { faults: { seesPictures: true } } });
    expect(await rig.engine.describe(never)).toMatchObject({ takesPictures: true });
    const first = await ask(rig);
    expect(first).toMatchObject({
      promptIds: [],
      outputIds: [],
      reuse: { cachedTokens: 0, cachedTokensFrom: 'timings' },
    });
    const [sent] = rig.fake.requestsTo('/completion');
    expect(sent?.body).toMatchObject({
      prompt: { prompt_string: expect.stringContaining('<__media_fake__>'), multimodal_data: [data] },
    });
    const again = await ask(rig);
    expect(again.reuse.cachedTokens).toBe(again.reuse.promptTokens - 1);
  });

  test('are never reused in another conversation, although its placeholders are the same', async () => {
    const rig = await makeRig({ fake: { faults: { seesPictures: true } } });
    await ask(rig);
    expect((await ask(rig, { salt: 'another picture' })).reuse.cachedTokens).toBe(0);
  });

  test.each([false, undefined])('are not offered to a server that says %s of them', async (seesPictures) => {
    const rig = await makeRig({ fake: { faults: { seesPictures } } });
    expect(await rig.engine.describe(never)).toMatchObject({ takesPictures: false });
    expect(await failure(ask(rig))).toMatchObject({
      code: 'CWM-5007',
      message: expect.stringContaining('does not support multimodal requests'),
    });
  });

  test('a server that sees pictures saves no slot, not even of text, and the receipt says so plainly', async () => {
    const rig = await makeRig({ fake: { faults: { seesPictures: true } } });
    const persisted = await rig.engine.persist(contextOf(someIds(40)), never);
    expect(persisted.handle).toBeNull();
    expect(persisted.notes.join(' ')).toBe(
      'llama-server saves no slots while its model sees pictures (HTTP 501: "This feature is not supported by multimodal"). To save the KV of text, start it without --mmproj. The KV lasts only as long as llama-server keeps it in memory.',
    );
    const core = await coreOver(rig.engine);
    try {
      const frozen = await core.keep();
      expect(frozen.notes.join(' ')).toContain('saves no slots while its model sees pictures');
      await rig.fake.restart();
      expect((await core.thaw()).verdict).toBe('rebuilt');
    } finally {
      await core.dispose();
    }
  });
});
