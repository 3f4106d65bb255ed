import { readFileSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import type { FakeFaults, HttpFault } from '../fakes/fakeFaults.ts';
import type { CacheKey } from '../fakes/cachingProxy.ts';
import type { FakeVllm } from '../fakes/fakeVllm.ts';

/** Whom it befalls: a server with a frozen context, and the block files of that and of another text, first block first. */
export interface Victim {
  readonly fake: FakeVllm;
  readonly files: readonly string[];
  readonly filesOfOther: readonly string[];
}

/** One thing that a server does wrong, or that goes wrong with what it keeps. */
export interface Lie {
  readonly name: string;
  /** From the start on. */
  readonly faults?: Partial<FakeFaults>;
  /** Blocks that fit on the device. */
  readonly capacityBlocks?: number;
  /** A response cache in front of the server. */
  readonly cache?: CacheKey;
  /** The client gets the server's events about its KV blocks. */
  readonly hasEvents?: boolean;
  /** Default 0.32.0. */
  readonly version?: string;
  /** False: the server keeps nothing beyond its memory. */
  readonly hasTier?: boolean;
  /** From just before the operation on; where the server is started anew, while it is down. */
  readonly befalls?: (victim: Victim) => void;
  /** Nobody listens during the operation. */
  readonly isDown?: boolean;
  /** There is nothing yet that it could be held against when a context is frozen: that is what it is frozen as. */
  readonly isOfFrozenOnly?: boolean;
  /** Done to the exchanges of the operation. */
  readonly http?: HttpFault;
}

const bad = 3;
const completions = '/v1/completions';

const fileAt = (files: readonly string[], index: number): string => {
  const path = files[index];
  if (path === undefined) throw new Error(`there is no block ${index}`);
  return path;
};
const overwrite = (path: string, change: (bytes: Buffer) => Buffer): void =>
  writeFileSync(path, change(readFileSync(path)));
const swap = (one: string, two: string): void => {
  renameSync(one, `${one}.aside`);
  renameSync(two, one);
  renameSync(`${one}.aside`, two);
};
const flipped = (at: number, mask: number) => (bytes: Buffer) => {
  bytes.writeUInt8(bytes.readUInt8(at) ^ mask, at);
  return bytes;
};
const damaged = (name: string, change: (bytes: Buffer) => Buffer): Lie => ({
  name,
  befalls: ({ files }) => overwrite(fileAt(files, bad), change),
});

const damages: readonly Lie[] = [
  damaged('a block of noise', (bytes) => Buffer.alloc(bytes.length, 0xff)),
  damaged('a block of zeros', (bytes) => Buffer.alloc(bytes.length)),
  damaged('an exponent bit flipped', flipped(131, 0x40)),
  damaged('the lowest bit flipped', flipped(128, 0x01)),
  {
    name: 'a block cut short',
    befalls: ({ files }) => truncateSync(fileAt(files, bad), statSync(fileAt(files, bad)).size / 2),
  },
  { name: 'an empty block', befalls: ({ files }) => truncateSync(fileAt(files, bad)) },
  { name: 'a block missing', befalls: ({ files }) => rmSync(fileAt(files, bad)) },
  {
    name: 'a block of zeros, a later one missing',
    befalls: ({ files }) => {
      overwrite(fileAt(files, bad), (bytes) => Buffer.alloc(bytes.length));
      rmSync(fileAt(files, bad + 3));
    },
  },
  { name: 'all blocks missing', befalls: ({ files }) => files.forEach((path) => rmSync(path)) },
  { name: 'two blocks swapped', befalls: ({ files }) => swap(fileAt(files, bad), fileAt(files, bad + 2)) },
  {
    name: "a block swapped with another text's",
    befalls: ({ files, filesOfOther }) => swap(fileAt(files, bad), fileAt(filesOfOther, bad)),
  },
];

const lastingly = (name: string, faults: Partial<FakeFaults>): Lie => ({ name, faults });
const suddenly = (name: string, change: Partial<FakeFaults>): Lie => ({
  name,
  befalls: ({ fake }) => void Object.assign(fake.faults, change),
});
const answering = (name: string, http: HttpFault): Lie => ({ name, http: { path: completions, ...http } });

const otherWeights: Omit<Lie, 'name'> = {
  befalls: ({ fake }) => void (fake.faults.weights = 'weights-2'),
  isOfFrozenOnly: true,
};

/** Every fault of the fake, and every damage to a block file. */
export const lies: readonly Lie[] = [
  { name: 'none' },
  { name: 'no tier', hasTier: false },
  lastingly('the salt is ignored', { saltIgnored: true }),
  lastingly('usage is null', { usageDetails: 'null' }),
  lastingly('a count of 0 is left out', { usageDetails: 'zero-omitted' }),
  lastingly('claims all', { usageDetails: 'claims-all' }),
  {
    ...lastingly('claims all, keeps nothing', { usageDetails: 'claims-all', evictsAfterEachRequest: true }),
    hasTier: false,
  },
  {
    ...lastingly('claims all, caches nothing, shows no counters', {
      usageDetails: 'claims-all',
      prefixCaching: false,
      metrics: false,
    }),
  },
  {
    ...lastingly('claims all, keeps nothing, tells a block size and no counts', {
      usageDetails: 'claims-all',
      evictsAfterEachRequest: true,
      metrics: 'no token counts',
    }),
    hasTier: false,
  },
  {
    ...lastingly('claims all, keeps nothing, shows a block size and no counts, and fails at first', {
      usageDetails: 'claims-all',
      evictsAfterEachRequest: true,
      metrics: 'no token counts',
    }),
    hasTier: false,
    http: { path: completions, kind: 'status', status: 500, times: 1 },
  },
  lastingly('claims all, caches nothing, while others use the server', {
    usageDetails: 'claims-all',
    prefixCaching: false,
    otherTraffic: true,
    othersRunning: 2,
  }),
  lastingly('claims all, caches nothing, and counts so', {
    usageDetails: 'claims-all',
    prefixCaching: false,
    countsClaims: true,
  }),
  {
    ...lastingly('claims all, caches nothing, and is of a version that names no tiers', {
      usageDetails: 'claims-all',
      prefixCaching: false,
    }),
    version: '0.30.0',
  },
  {
    ...suddenly('shows no counters any more, claims all and keeps nothing', {
      usageDetails: 'claims-all',
      evictsAfterEachRequest: true,
      prefixCaching: false,
      metrics: false,
    }),
    hasTier: false,
  },
  lastingly('tells a block size and no counts', { metrics: 'no token counts' }),
  lastingly('claims more than there are', { usageDetails: 'more than there are' }),
  suddenly('counts below zero', { usageDetails: 'below zero' }),
  suddenly('counts in words', { usageDetails: 'in words' }),
  lastingly('inflated prefix counters', { inflatedPrefixCounters: true }),
  lastingly('no metrics', { metrics: false }),
  lastingly('no metrics, usage is null', { metrics: false, usageDetails: 'null' }),
  lastingly('others use the server', { otherTraffic: true, othersRunning: 2 }),
  lastingly('no log-probabilities', { givesLogprobs: false }),
  lastingly('no token ids', { returnsTokenIds: false }),
  lastingly('some ids of a stream are missing', { streamedIds: 'some missing' }),
  lastingly('some ids of a stream are missing, and counted so', { streamedIds: 'missing and counted so' }),
  lastingly('the ids of a stream are of another text', { streamedIds: 'of another text' }),
  {
    ...lastingly('some ids of a stream are missing, and counted so, no tier', {
      streamedIds: 'missing and counted so',
    }),
    hasTier: false,
  },
  lastingly('prefix caching is off', { prefixCaching: false }),
  lastingly('a block size of 8 is told', { toldBlockTokens: '8' }),
  lastingly('a block size of 32 is told', { toldBlockTokens: '32' }),
  lastingly('no block size is told', { toldBlockTokens: 'None' }),
  lastingly('the tier writes nothing', { tier: 'writes-nothing' }),
  lastingly('the tier loads nothing', { tier: 'loads-nothing' }),
  lastingly('the tier claims only, and loads zeros', { tier: 'claims-only' }),
  lastingly('ExampleConnector ignores the salt', { connector: 'ExampleConnector' }),
  { ...lastingly('ExampleConnector without a tier', { connector: 'ExampleConnector' }), hasTier: false },
  lastingly('evicted after each request', { evictsAfterEachRequest: true }),
  { ...lastingly('evicted after each request, no tier', { evictsAfterEachRequest: true }), hasTier: false },
  { name: 'a device cache that is too small', capacityBlocks: 6 },
  { name: 'a device cache that is too small, no tier', capacityBlocks: 6, hasTier: false },
  { name: 'evicted in between', befalls: ({ fake }) => fake.evictAll() },
  { name: 'evicted in between, no tier', hasTier: false, befalls: ({ fake }) => fake.evictAll() },
  suddenly('claims all from now on', { usageDetails: 'claims-all' }),
  suddenly('claims all from now on, caches nothing, and counts so', {
    usageDetails: 'claims-all',
    prefixCaching: false,
    countsClaims: true,
  }),
  { name: 'a cache in front knows requests by their body', cache: 'whole body' },
  { name: 'a cache in front knows requests by their prompt', cache: 'prompt' },
  { name: 'a cache in front, no tier', cache: 'prompt', hasTier: false },
  { name: 'events: an honest server', hasEvents: true },
  { name: 'events: a cache in front', hasEvents: true, cache: 'prompt' },
  {
    name: 'events: a cache in front, no tier, no metrics',
    hasEvents: true,
    cache: 'prompt',
    hasTier: false,
    faults: { metrics: false },
  },
  {
    name: 'events: evicted in between, no tier',
    hasEvents: true,
    hasTier: false,
    befalls: ({ fake }) => fake.evictAll(),
  },
  {
    ...suddenly('events: claims all from now on, evicts all, and counts so', {
      usageDetails: 'claims-all',
      evictsAfterEachRequest: true,
      countsClaims: true,
    }),
    hasEvents: true,
    hasTier: false,
  },
  {
    ...suddenly('events: claims all from now on, caches nothing, and counts so', {
      usageDetails: 'claims-all',
      prefixCaching: false,
      countsClaims: true,
    }),
    hasEvents: true,
  },
  { ...lastingly('events: usage is null', { usageDetails: 'null' }), hasEvents: true },
  { ...lastingly('events: of another request', { events: 'of another request' }), hasEvents: true },
  { ...lastingly('events: with other hashes', { events: 'with other hashes' }), hasEvents: true },
  { ...lastingly('events: not of reuse', { events: 'not of reuse' }), hasEvents: true },
  { ...lastingly('events: not of tiers', { events: 'not of tiers' }), hasEvents: true },
  {
    ...suddenly('events: not of tiers, and claims all from now on, evicts all, and counts so', {
      usageDetails: 'claims-all',
      evictsAfterEachRequest: true,
      countsClaims: true,
    }),
    faults: { events: 'not of tiers' },
    hasEvents: true,
    hasTier: false,
  },
  { ...suddenly('events: lost from now on', { events: 'lost' }), hasEvents: true },
  { ...suddenly('events: the tier claims only from now on', { tier: 'claims-only' }), hasEvents: true },
  { ...suddenly('claims all from now on, no tier', { usageDetails: 'claims-all' }), hasTier: false },
  suddenly('prompts are cut to their last tokens', { keepsLastTokens: 17 }),
  {
    ...suddenly('prompts are cut to their last tokens, no log-probabilities', { keepsLastTokens: 17 }),
    faults: { givesLogprobs: false },
  },
  suddenly('the chat template drifts', { templateLine: 'Today is Monday.' }),
  { ...otherWeights, name: 'other weights' },
  { ...otherWeights, name: 'other weights, no tier', hasTier: false },
  { ...otherWeights, name: 'other weights, usage is null', faults: { usageDetails: 'null' } },
  lastingly('a new hash seed in each process', { randomSeedAfterRestart: true }),
  suddenly('log-probabilities are gone', { givesLogprobs: false }),
  suddenly('usage becomes null', { usageDetails: 'null' }),
  suddenly('metrics are gone', { metrics: false }),
  suddenly('the tier loads nothing from now on', { tier: 'loads-nothing' }),
  suddenly('the tier claims only from now on', { tier: 'claims-only' }),
  suddenly('a key is wanted', { apiKey: 'secret' }),
  suddenly('the model is gone', { model: 'another-model' }),
  suddenly('the context became shorter', { maxModelLen: 60 }),
  suddenly('it is no vLLM any more', { hasVersion: false, metrics: false }),
  { name: 'nobody is there', isDown: true },
  ...damages,
  {
    ...damaged('a block of zeros, the salt is ignored', (bytes) => Buffer.alloc(bytes.length)),
    faults: { saltIgnored: true },
  },
  ...damages.map((lie) => ({ ...lie, name: `${lie.name}, usage is null`, faults: { usageDetails: 'null' as const } })),
  answering('500', { kind: 'status', status: 500 }),
  answering('500 once', { kind: 'status', status: 500, times: 1 }),
  answering('500 once, after the work', { kind: 'status', status: 500, times: 1, late: true }),
  answering('503', { kind: 'status', status: 503 }),
  answering('429', { kind: 'status', status: 429 }),
  answering('400', { kind: 'status', status: 400 }),
  answering('dropped', { kind: 'drop' }),
  answering('dropped once', { kind: 'drop', times: 1 }),
  answering('dropped once, after the work', { kind: 'drop', times: 1, late: true }),
  answering('the second request fails', { kind: 'status', status: 500, after: 1 }),
  answering('the second request is dropped once, after the work', { kind: 'drop', after: 1, times: 1, late: true }),
  answering('cut in the middle', { kind: 'cut', afterChunks: 1 }),
  answering('ends in the middle as if complete', { kind: 'stop', afterChunks: 1 }),
  answering('silent', { kind: 'silence', afterChunks: 0 }),
  answering('silent in the middle', { kind: 'silence', afterChunks: 1 }),
  answering('a first byte after 5 minutes', { kind: 'slow', delayMs: 5 * 60_000 }),
  answering('a first byte after 20 minutes', { kind: 'slow', delayMs: 20 * 60_000, times: 1 }),
  answering('a body without end', { kind: 'huge' }),
  answering('a body that is no JSON', { kind: 'body', body: '{"choices":[' }),
  answering('a body of another shape', { kind: 'body', body: '{"choices":"none"}' }),
  answering('a body without choices', {
    kind: 'body',
    body: '{"choices":[],"usage":{"prompt_tokens":1,"prompt_tokens_details":{"cached_tokens":1}}}',
  }),
  answering('an empty body', { kind: 'body', body: '' }),
  answering('a web page', { kind: 'body', body: '<html>login</html>', type: 'text/html' }),
  answering('the right body as a web page', { kind: 'type', type: 'text/html' }),
  answering('the right body as a stream', { kind: 'type', type: 'text/event-stream' }),
  answering('a redirect', { kind: 'redirect', location: 'http://127.0.0.1:9/' }),
  { name: 'everything fails', http: { kind: 'status', status: 500 } },
  { name: 'everything is silent', http: { kind: 'silence', afterChunks: 0 } },
  { name: 'everything is a web page', http: { kind: 'body', body: '<html>login</html>', type: 'text/html' } },
  { name: 'metrics without end', http: { kind: 'huge', path: '/metrics' } },
  {
    name: 'metrics that are none',
    http: { kind: 'body', body: 'a 1 2 3 { } NaN\n', path: '/metrics', type: 'text/plain' },
  },
  { name: 'metrics fail', http: { kind: 'status', status: 500, path: '/metrics' } },
  { name: 'metrics are silent', http: { kind: 'silence', afterChunks: 0, path: '/metrics' } },
  { name: 'the list of models fails', http: { kind: 'status', status: 500, path: '/v1/models' } },
  { name: 'the version is no JSON', http: { kind: 'body', body: 'vllm', path: '/version' } },
];
