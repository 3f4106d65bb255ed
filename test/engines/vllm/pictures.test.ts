import { describe, expect, test } from 'vitest';
import { failure, makeRig, never, type Rig } from './rig.ts';

const data = Buffer.from('GIF89a red').toString('base64');
const picture = { type: 'image', mediaType: 'image/gif', sha256: 'f'.repeat(64), sizeBytes: 10, data } as const;

const ask = ({ engine }: Rig) =>
  engine.generate(
    {
      messages: [
        { role: 'user', content: 'What is this?', media: [picture] },
        { role: 'assistant', content: 'A dot.' },
        { role: 'user', content: 'Which colour?' },
      ],
      salt: 's',
      maxTokens: 4,
      temperature: 0,
      addGenerationPrompt: true,
    },
    () => undefined,
    never,
  );

describe('pictures on vLLM and other servers of the OpenAI API', () => {
  test('are data URIs before the text of their message; other messages stay as they are', async () => {
    const rig = await makeRig({ fake: { faults: { seesPictures: true } } });
    await ask(rig);
    const [sent] = rig.fake.requestsTo('/v1/chat/completions');
    expect(sent?.body).toMatchObject({
      messages: [
        {
          role: 'user',
          content: [
            { type: 'image_url', image_url: { url: `data:image/gif;base64,${data}` } },
            { type: 'text', text: 'What is this?' },
          ],
        },
        { role: 'assistant', content: 'A dot.' },
        { role: 'user', content: 'Which colour?' },
      ],
      cache_salt: 's',
    });
  });

  test('are refused in the words of a server whose model sees none', async () => {
    const rig = await makeRig();
    expect(await failure(ask(rig))).toMatchObject({
      code: 'CWM-5007',
      message: expect.stringContaining('is not a multimodal model'),
    });
  });

  test('no claim is made about a server that does not say whether it takes them', async () => {
    const rig = await makeRig();
    expect((await rig.engine.describe(never)).takesPictures).toBeUndefined();
  });
});
