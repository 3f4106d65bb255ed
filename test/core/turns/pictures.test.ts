import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { sha256Hex } from '../../../src/base/hash.ts';
import { blockHashChain } from '../../../src/base/kvBlockHash.ts';
import type { ChatMessage } from '../../../src/core/ports/engine.ts';
import { parsePictures, saltWithPictures } from '../../../src/core/prompt/pictures.ts';
import { withDraft } from '../../../src/core/prompt/withDraft.ts';
import { slotHash } from '../../../src/engines/llamaServer/slots/slotHandle.ts';
import type { MessageContent } from '../../../src/protocol/schemas/session.ts';
import { codeOf, coreFixture, never, type CoreFixture } from '../coreFixture.ts';
import { fc } from '../../support/fc.ts';

/** A PNG as far as its first bytes go; no fake looks any further. */
const png = (seed: string): string =>
  Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), Buffer.from(seed)]).toString('base64');
const red = png('red');
const blue = png('blue');

const say = (...images: string[]): { readonly content: MessageContent } => ({
  content: { type: 'text', text: 'What is this?', media: parsePictures(images) },
});

const send = (fixture: CoreFixture, session: string, images?: string[]) =>
  fixture.cwm.send({ session, text: 'What is in this picture, please?', ...(images && { images }) }, never());

describe('pictures in what KV is known by', () => {
  const profile = { algorithm: 'sha256_cbor', seed: 'vllm-none-hash', saltEncoding: 'tagged' } as const;
  const pictures = fc.array(fc.string({ maxLength: 8 }).map(png), { minLength: 1, maxLength: 3 });

  test('two contexts with equal ids and other pictures have no block and no slot file in common', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(1000), { minLength: 16, maxLength: 80 }),
        pictures,
        pictures,
        fc.boolean(),
        (ids, one, other, isSplit) => {
          fc.pre(JSON.stringify(one) !== JSON.stringify(other));
          const asMessages = (images: string[]) => (isSplit ? images.map((image) => say(image)) : [say(...images)]);
          const salts = [one, other].map((images) => saltWithPictures('salt', asMessages(images)));
          const [a = [], b = []] = salts.map((salt) => blockHashChain(profile, ids, 16, salt));
          expect(a.filter((hash) => b.includes(hash))).toEqual([]);
          const [slot, otherSlot] = salts.map((salt) => slotHash({ ids, salt }));
          expect(slot).not.toBe(otherSlot);
        },
      ),
    );
  });

  test('a conversation without pictures has the salt of its lineage', () => {
    expect(saltWithPictures('salt', [{ content: { type: 'text', text: 'Hello' } }])).toBe('salt');
    expect(saltWithPictures('salt', [say(red)])).not.toBe('salt');
  });

  test('the same text with another picture reuses nothing, and with the same picture everything', async () => {
    const fixture = await coreFixture();
    await fixture.cwm.createSession({ id: 's' });
    await send(fixture, 's', [red]);
    const same = await fixture.cwm.regenerate({ session: 's', branch: 'same' }, never());
    expect(same.cachedTokens).toBeGreaterThan(0);
    await fixture.cwm.createBranch({ session: 's', name: 'other', at: null, switch: true });
    const other = await send(fixture, 's', [blue]);
    expect(other.cachedTokens).toBe(0);
  });
});

describe('a conversation with pictures', () => {
  test('stores them, sends them with each later message, and lists them without their bytes', async () => {
    const fixture = await coreFixture();
    const sent: (readonly ChatMessage[])[] = [];
    fixture.engine.template = (messages) => {
      sent.push(messages);
      return messages;
    };
    await fixture.cwm.createSession({ id: 's' });
    await send(fixture, 's', [red]);
    await send(fixture, 's');
    const picture = {
      type: 'image',
      mediaType: 'image/png',
      sha256: sha256Hex(Buffer.from(red, 'base64')),
      sizeBytes: Buffer.from(red, 'base64').length,
    };
    expect(sent.at(-1)?.map(({ media }) => media)).toEqual([[{ ...picture, data: red }], undefined, undefined]);
    const { items } = await fixture.cwm.listMessages({ session: 's' });
    expect(items[0]?.content).toMatchObject({ type: 'text', media: [picture] });
    expect(JSON.stringify(items)).not.toContain(red);
    const folder = join(fixture.directory, 'contexts', 's', 'messages');
    expect(readdirSync(folder).some((name) => readFileSync(join(folder, name), 'utf8').includes(red))).toBe(true);
  });

  test('a freeze asks nothing over ids that stand for any picture, and no thaw is ever proven', async () => {
    const fixture = await coreFixture();
    await fixture.cwm.createSession({ id: 's' });
    await send(fixture, 's');
    await send(fixture, 's', [red]);
    fixture.engine.calls = [];
    const frozen = await fixture.cwm.freeze({ session: 's', window: 'w' }, never());
    expect(frozen.verdict).toBe('unobserved');
    expect(frozen.notes.join(' ')).toContain('token ids are the same for different pictures');
    expect(fixture.engine.calls).not.toContain('persist');
    expect(fixture.engine.calls).not.toContain('measure');
    const thawed = await fixture.cwm.thaw({ window: 'w', session: 't' }, never());
    // The template opens another answer behind the conversation, which is new.
    expect(thawed.verdict).toBe('partial');
    expect(thawed.content).toMatchObject({ checksums: 'not-run', canary: 'not-run' });
    expect(fixture.engine.calls).not.toContain('measure');
    expect((await send(fixture, 't')).cachedTokens).toBeGreaterThan(0);
  });

  test('a branch from before the picture continues under the ids and the salt of before', async () => {
    const fixture = await coreFixture();
    await fixture.cwm.createSession({ id: 's' });
    const first = await send(fixture, 's');
    await send(fixture, 's', [red]);
    await fixture.cwm.createBranch({ session: 's', name: 'text', at: first.messageId, switch: true });
    expect((await send(fixture, 's')).cachedTokens).toBeGreaterThan(0);
    const frozen = await fixture.cwm.freeze({ session: 's', window: 'w', checkpoint: true }, never());
    expect(frozen.verdict).toBe('proven');
  });

  test('an edited message has the same pictures', async () => {
    const fixture = await coreFixture();
    await fixture.cwm.createSession({ id: 's' });
    await send(fixture, 's', [red]);
    const [question] = (await fixture.cwm.listMessages({ session: 's' })).items;
    const message = question?.id ?? '';
    await fixture.cwm.editMessage({ session: 's', message, text: 'And now?' }, never());
    const [edited] = (await fixture.cwm.listMessages({ session: 's' })).items;
    expect(edited?.content).toMatchObject({ text: 'And now?', media: [{ mediaType: 'image/png' }] });
  });

  test('a model that sees no pictures is not asked: the error says so, and the text stays as a draft', async () => {
    const fixture = await coreFixture();
    fixture.engine.takesPictures = false;
    await fixture.cwm.createSession({ id: 's' });
    const failed = send(fixture, 's', [red]);
    await expect(failed).rejects.toMatchObject({
      name: 'EngineRejected',
      message: '"fake-model" takes no pictures, and the conversation has some.',
      hint: expect.stringContaining('draft, without its pictures'),
    });
    expect(fixture.engine.calls).not.toContain('generate');
    expect(await fixture.cwm.getSession({ session: 's' })).toMatchObject({ phase: 'Idle' });
  });

  test('what the draft of another message lacks is named by its kinds', () => {
    const bytes = { mediaType: null, sha256: 'a', sizeBytes: 1, at: 0 };
    const parts = (['audio', 'image', 'audio'] as const).map((type) => ({ type, ...bytes }));
    expect(withDraft(new Error('no'), [{ content: { type: 'text', text: 'Hear.', parts } }]).hint).toContain(
      'Your text is saved as a draft, without its sounds and pictures.',
    );
  });

  test('a thaw on a model that sees no pictures opens the conversation and says why', async () => {
    const fixture = await coreFixture();
    await fixture.cwm.createSession({ id: 's' });
    await send(fixture, 's', [red]);
    await fixture.cwm.freeze({ session: 's', window: 'w' }, never());
    fixture.engine.takesPictures = false;
    const thawed = await fixture.cwm.thaw({ window: 'w', session: 't' }, never());
    expect(thawed.verdict).toBe('text-only');
    expect(thawed.notes.join(' ')).toContain('takes no pictures');
  });
});

describe('pictures as a client sends them', () => {
  const begins = (bytes: string): string => Buffer.from(`${bytes} and so on`, 'latin1').toString('base64');

  test.each([
    ['\x89PNG\r\n\x1a\n', 'image/png'],
    ['\xff\xd8\xff\xe0', 'image/jpeg'],
    ['GIF89a', 'image/gif'],
    ['RIFF\x00\x00\x00\x00WEBP', 'image/webp'],
  ])('what they are is read from their bytes: %j', (bytes, mediaType) => {
    expect(parsePictures([begins(bytes)])).toMatchObject([{ mediaType }]);
  });

  test.each([
    ['no picture', [begins('<svg>')]],
    ['no base64', ['data:image/png;base64,AAAA']],
    ['nothing', ['']],
    ['more than eight', Array<string>(9).fill(red)],
    ['more than 5 MiB', [png('x'.repeat(5 * 1024 * 1024))]],
    ['more than 10 MiB together', Array<string>(3).fill(png('x'.repeat(4 * 1024 * 1024)))],
  ])('%s is refused before anything is asked', async (_, images) => {
    const fixture = await coreFixture();
    await fixture.cwm.createSession({ id: 's' });
    fixture.engine.calls = [];
    expect(await codeOf(send(fixture, 's', images))).toBe('CWM-1003');
    expect(fixture.engine.calls).toEqual([]);
  });
});
