import { describe, expect, test } from 'vitest';
import type { GenerateRequest } from '../../src/core/ports/engine.ts';
import { openAiMessages } from '../../src/core/ports/openAiMessages.ts';
import { never } from '../core/coreFixture.ts';
import { gatewayFixture, type GatewayFixture } from './gatewayFixture.ts';
import { call, MemoryClient, user } from './memoryClient.ts';

/** A second of silence, at 8 kHz with one byte each. */
const wav = (() => {
  const head = Buffer.alloc(44);
  head.write('RIFF', 0);
  head.write('WAVEfmt ', 8);
  head.writeUInt32LE(8_000, 28);
  return Buffer.concat([head, Buffer.alloc(8_000)]);
})();
const audio = { type: 'input_audio', input_audio: { data: wav.toString('base64'), format: 'wav' } };
const video = { type: 'video_url', video_url: { url: 'https://example.org/a.mp4' }, fps: 2 };
const file = { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,JVBERi0=' } };
const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=', detail: 'low' } };
const heard = [{ type: 'text', text: 'What is' }, audio, { type: 'text', text: 'said here?' }];

/** Messages of each request to the model, as its server gets them. */
function sentBy({ engine }: GatewayFixture): (readonly object[])[] {
  const sent: (readonly object[])[] = [];
  const generate = engine.generate.bind(engine);
  engine.generate = (request: GenerateRequest, ...rest) => {
    sent.push(openAiMessages(request.messages));
    return generate(request, ...rest);
  };
  return sent;
}

const says = (content: unknown): object => ({ role: 'user', content });

describe('parts of a message that are no text', () => {
  test.each([
    ['a sound', audio, 'audio'],
    ['a video elsewhere', video, 'video'],
    ['a file', file, 'structured'],
    ['a picture', image, 'image'],
  ])(
    'S1-20 %s goes to the server as it came, on each turn with memory, and is a page of its modality',
    async (_, part, modality) => {
      const client = new MemoryClient(await gatewayFixture());
      const sent = sentBy(client.gateway);
      const content = [{ type: 'text', text: 'Look:' }, part];
      await client.ask(says(content));
      await client.gateway.restart();
      await client.ask(user('And again?'));
      expect(sent.map(([first]) => first)).toEqual([says(content), says(content)]);
      const [{ session, said } = { session: null, said: [] }, ...others] = await client.gateway.sessions();
      expect([said.length, others]).toEqual([4, []]);
      const { pages } = await client.gateway.cwm.memoryState({ session: session!.id });
      expect(pages[0]).toMatchObject({ modality, kind: 'transcript' });
    },
  );

  test('S1-60 what a sound is, how long and large, and its hash stand where its bytes do not', async () => {
    const client = new MemoryClient(await gatewayFixture());
    await client.ask(says(heard));
    const [{ session } = { session: null }] = await client.gateway.sessions();
    const { cwm } = client.gateway;
    const { items } = await cwm.listMessages({ session: session!.id });
    const [{ content }] = items as [(typeof items)[number]];
    expect(content).toMatchObject({
      text: 'What is\nsaid here?',
      parts: [{ type: 'audio', mediaType: 'audio/wav', sizeBytes: 8_044, durationSeconds: 1, at: 7 }],
    });
    expect(JSON.stringify(items)).not.toContain(audio.input_audio.data);
    const whole = await cwm.getMessage({ session: session!.id, message: items[0]!.id });
    expect(whole.content).toMatchObject({ parts: [{ part: audio }] });
    const { text } = await cwm.memoryPage({ session: session!.id, page: 'p1' });
    expect(text).toMatch(/^\[AUDIO: audio\/wav, 0:01, 8,044 bytes, sha256 [0-9a-f]{12}\]\nWhat is\nsaid here\?$/);
  });

  test('S1-46 one that has left the prompt is told by its line, and a fault of the model brings the line back', async () => {
    const client = new MemoryClient(await gatewayFixture());
    await client.ask(says(heard));
    await client.talk(12);
    const sent = sentBy(client.gateway);
    client.gateway.engine.toolCalls = [[call('1', 'page_fault', { page_id: 'p1' })]];
    await client.ask(user('What did I send?'));
    const last = JSON.stringify(sent.at(-1));
    expect(last).not.toContain(audio.input_audio.data);
    expect(last).toContain('[AUDIO: audio/wav, 0:01');
  });

  test('S1-20 one that passes is recorded with the conversation, whose ids stand for any sound, and goes along when the session continues', async () => {
    const gateway = await gatewayFixture();
    await gateway.chat([says(heard)]);
    const [{ session, said } = { session: null, said: [] }] = await gateway.sessions();
    expect(said[0]).toMatchObject({ text: 'What is\nsaid here?', parts: [{ type: 'audio' }] });
    expect(session?.tokens).toMatchObject({ source: 'none', media: true });
    const sent = sentBy(gateway);
    await gateway.cwm.send({ session: session!.id, text: 'And now?' }, never());
    expect(sent[0]?.slice(0, 1)).toEqual([says(heard)]);
  });

  test('S1-20 one that is too large is refused with memory, and without it stands as a line in the record', async () => {
    const data = Buffer.alloc(11 << 20).toString('base64');
    const large = [
      says([
        { type: 'text', text: 'Hear:' },
        { type: 'input_audio', input_audio: { data, format: 'wav' } },
      ]),
    ];
    const client = new MemoryClient(await gatewayFixture());
    const answer = await client.post({ messages: large });
    expect(answer.status).toBe(400);
    expect(await answer.text()).toContain('one message takes 10');
    await client.gateway.chat(large);
    const [{ said } = { said: [] }] = await client.gateway.sessions();
    expect(said[0]).toEqual({ role: 'user', type: 'text', text: 'Hear:\n[input_audio]' });
  });

  test.each([
    ['no base64', { type: 'input_audio', input_audio: { data: '%%%', format: 'wav' } }],
    ['nothing', { type: 'input_audio' }],
    ['a kind that nobody knows', { type: 'smell', smell: { of: 'roses' } }],
  ])('S1-20 one with %s goes to the server as it came: its words are the answer', async (_, part) => {
    const client = new MemoryClient(await gatewayFixture());
    const sent = sentBy(client.gateway);
    await client.ask(says([part]));
    expect(sent[0]).toEqual([says([part])]);
  });

  test('an engine that takes text alone says so, and the conversation continues without the sound', async () => {
    const client = new MemoryClient(await gatewayFixture());
    client.gateway.engine.describe = new Proxy(client.gateway.engine.describe.bind(client.gateway.engine), {
      apply: async (describe, self, given) => ({
        ...(await (Reflect.apply(describe, self, given) as ReturnType<typeof describe>)),
        kind: 'embedded' as const,
        takesPictures: false,
      }),
    });
    const answer = await client.post({ messages: [says(heard)] });
    expect(await answer.text()).toContain('takes text only, and the conversation has a sound');
    expect((await client.ask(user('Then in words.'))).choices).toHaveLength(1);
  });
});
