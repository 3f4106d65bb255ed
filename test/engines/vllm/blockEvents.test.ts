import { execFile } from 'node:child_process';
import { createServer, type Server } from 'node:net';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ZmtpSubscriber } from '../../../src/engines/vllm/events/zmtpSubscriber.ts';
import { readyCommand, zmtpFrame, zmtpGreeting } from '../../../src/engines/vllm/events/zmtpFrames.ts';
import { CachingProxy } from '../../fakes/cachingProxy.ts';
import { completions, contextOf, makeRig, never, someIds, type Rig } from './rig.ts';

const reuseOf = async ({ engine }: Rig, ids: readonly number[]) => (await engine.measure(contextOf(ids), never)).reuse;

describe("the server's events about its KV blocks", () => {
  test('name the blocks that were there before this request, and not those that were computed for it', async () => {
    const rig = await makeRig({ events: true });
    const ids = someIds(100);
    expect(await reuseOf(rig, ids.slice(0, 64))).toMatchObject({ cachedTokens: 0, cachedTokensFrom: 'events' });
    expect(await reuseOf(rig, ids)).toMatchObject({ cachedTokens: 64, cachedTokensFrom: 'events' });
    expect(await reuseOf(rig, ids)).toMatchObject({ cachedTokens: 96, cachedTokensFrom: 'events' });
  });

  test('show what the tier gave back after a restart', async () => {
    const rig = await makeRig({ events: true, tier: {} });
    const ids = someIds(100);
    await reuseOf(rig, ids);
    await reuseOf(rig, ids);
    await rig.fake.restart();
    expect(await reuseOf(rig, ids)).toMatchObject({ cachedTokens: 96, cachedTokensFrom: 'events' });
  });

  test('are evidence of a server that reports no reuse in its answers', async () => {
    const rig = await makeRig({ events: true, fake: { faults: { usageDetails: 'null', metrics: true } } });
    const ids = someIds(100);
    await reuseOf(rig, ids);
    expect(await reuseOf(rig, ids)).toMatchObject({ cachedTokens: 96, cachedTokensFrom: 'events' });
  });

  test('F1 an answer from a cache in front has none, so nothing was observed', async () => {
    let url = '';
    const rig = await makeRig({
      events: true,
      engine: { connect: async () => ({ url }) },
    });
    await using proxy = await CachingProxy.start(rig.fake.url, 'prompt');
    url = proxy.url;
    const ids = someIds(65);
    await reuseOf(rig, ids);
    await rig.fake.restart();
    // Its counters never stand still, so that they cannot expose the cache.
    rig.fake.faults.othersRunning = 1;
    expect(await reuseOf(rig, ids)).toMatchObject({ cachedTokens: null, isUnannounced: true });
    expect(proxy.replays).toBe(1);
  });

  test('F3 contradict a server that claims reuse, and counts it, after an honest beginning', async () => {
    const rig = await makeRig({ events: true });
    const ids = someIds(100);
    await reuseOf(rig, ids);
    expect(await reuseOf(rig, ids)).toMatchObject({ cachedTokens: 96, cachedTokensFrom: 'events' });
    rig.fake.evictAll();
    Object.assign(rig.fake.faults, { usageDetails: 'claims-all', countsClaims: true });
    expect(await reuseOf(rig, ids)).toMatchObject({
      cachedTokens: null,
      cachedTokensFrom: 'none',
      isContradicted: true,
    });
  });

  test.each(['lost', 'of another request', 'with other hashes'] as const)(
    'that are %s leave reuse unobserved once they have named reused blocks, whatever usage and counters say',
    async (events) => {
      const rig = await makeRig({ events: true });
      const ids = someIds(100);
      await reuseOf(rig, ids);
      await reuseOf(rig, ids);
      rig.fake.faults.events = events;
      expect(await reuseOf(rig, ids)).toMatchObject({ cachedTokens: null, isUnannounced: true });
    },
  );

  test('of a server that never names what it reuses cost no evidence: it is tested once, and the answer counts', async () => {
    const rig = await makeRig({ events: true, fake: { faults: { events: 'not of reuse' } } });
    const ids = someIds(100);
    await reuseOf(rig, ids);
    expect(await reuseOf(rig, ids)).toMatchObject({ cachedTokens: 96, cachedTokensFrom: 'usage' });
    const { length } = rig.fake.requestsTo(completions);
    expect(await reuseOf(rig, ids)).toMatchObject({ cachedTokens: 96, cachedTokensFrom: 'usage' });
    expect(rig.fake.requestsTo(completions)).toHaveLength(length + 1);
  });

  test('of a server without prefix caching cost no evidence: nothing was reused, and the receipt can say so', async () => {
    const rig = await makeRig({ events: true, fake: { faults: { prefixCaching: false } } });
    const ids = someIds(100);
    await reuseOf(rig, ids);
    expect(await reuseOf(rig, ids)).toMatchObject({ cachedTokens: 0, cachedTokensFrom: 'usage' });
  });

  test('that leave out what a connector stores do not contradict what it gave back after a restart', async () => {
    const rig = await makeRig({ events: true, tier: {}, fake: { faults: { events: 'not of tiers' } } });
    const ids = someIds(100);
    await reuseOf(rig, ids);
    await reuseOf(rig, ids);
    await rig.fake.restart();
    expect(await reuseOf(rig, ids)).toMatchObject({ cachedTokens: 96, cachedTokensFrom: 'usage' });
  });

  test('of one rank of several are left alone: another one may have got the request', async () => {
    const rig = await makeRig({ events: true, fake: { faults: { ranks: 2 } } });
    const ids = someIds(100);
    await reuseOf(rig, ids);
    expect(await reuseOf(rig, ids)).toMatchObject({ cachedTokens: 96, cachedTokensFrom: 'usage' });
  });

  test('count again from nothing after an eviction that nobody announced', async () => {
    const rig = await makeRig({ events: true });
    const ids = someIds(100);
    await reuseOf(rig, ids);
    rig.fake.faults.events = 'lost';
    rig.fake.evictAll();
    rig.fake.faults.events = 'published';
    expect(await reuseOf(rig, ids)).toMatchObject({ cachedTokens: 0 });
    expect(await reuseOf(rig, ids)).toMatchObject({ cachedTokens: 96, cachedTokensFrom: 'events' });
  });
});

test('nobody loads what reads events without "#events="', async () => {
  const script = `
    import { registerHooks } from 'node:module';
    const loaded = [];
    registerHooks({ resolve: (name, context, next) => { const found = next(name, context); loaded.push(found.url); return found; } });
    const events = () => loaded.filter((url) => /msgpack|events\\/(blockEvents|blockLedger|zmtp)/.test(url)).length;
    const { vllmAdapter } = await import(process.argv[1]);
    const make = (places) => vllmAdapter.create({ spec: '', connect: async () => ({ url: '' }), places });
    await make({}).close();
    const without = events();
    await make({ events: 'ipc:///nowhere' }).close();
    console.log(without, events() > 0);`;
  const adapter = pathToFileURL(join(import.meta.dirname, '../../../src/engines/vllm/vllmAdapter.ts')).href;
  const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, adapter]);
  expect((await run).stdout.trim()).toBe('0 true');
});

describe('the subscription', () => {
  async function publisher(onSubscribed: (send: (parts: readonly Buffer[]) => void) => void): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'cwm-zmtp-'));
    const path = join(folder, 's');
    const server: Server = createServer((socket) => {
      socket.write(Buffer.concat([zmtpGreeting(), readyCommand('PUB')]));
      let seen = Buffer.alloc(0);
      const send = (parts: readonly Buffer[]): void => {
        const frames = parts.map((part, index) => zmtpFrame(part, false, index < parts.length - 1));
        // Byte by byte at the seam: a message may arrive in any pieces.
        for (const byte of Buffer.concat(frames).subarray(0, 3)) socket.write(Buffer.from([byte]));
        socket.write(Buffer.concat(frames).subarray(3));
      };
      socket.on('data', (chunk: Buffer) => {
        seen = Buffer.concat([seen, chunk]);
        if (seen.subarray(-3).equals(zmtpFrame(Buffer.from([1])))) onSubscribed(send);
      });
      socket.on('error', () => undefined);
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    onTestFinished(async () => {
      server.close();
      await rm(folder, { recursive: true, force: true });
    });
    return `ipc://${path}`;
  }

  test('hands on whole messages, long ones too', async () => {
    const parts = [Buffer.alloc(0), Buffer.alloc(8, 1), Buffer.alloc(100_000, 7)];
    const endpoint = await publisher((send) => send(parts));
    const subscriber = new ZmtpSubscriber(endpoint);
    onTestFinished(() => subscriber.close());
    const got = await new Promise<readonly Uint8Array[]>((message) =>
      subscriber.start({ connected: () => undefined, message }),
    );
    expect(got.map((part) => Buffer.from(part))).toEqual(parts);
    expect(await subscriber.ready()).toBeNull();
  });

  test('says why where nobody publishes', async () => {
    const subscriber = new ZmtpSubscriber('ipc:///nowhere/at/all');
    onTestFinished(() => subscriber.close());
    subscriber.start({ connected: () => undefined, message: () => undefined });
    expect(await subscriber.ready()).toContain('ENOENT');
  });
});
