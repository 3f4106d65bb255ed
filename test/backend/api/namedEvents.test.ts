import { readFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { NamedEvent } from '../../../src/protocol/signals.ts';
import { until } from '../../support/until.ts';
import { backendsInProcess, type BackendUnderTest } from '../support/backendInProcess.ts';
import { temporaryDirectories } from '../support/temporaryDirectory.ts';

const start = backendsInProcess();
const makeDirectory = temporaryDirectories();

class Heard {
  readonly #block: string;

  constructor(block: string) {
    this.#block = block;
  }

  get name(): string {
    return this.#field('event') ?? 'message';
  }

  get id(): number | null {
    const id = this.#field('id');
    return id === undefined ? null : Number(id);
  }

  get data(): Record<string, unknown> {
    return JSON.parse(this.#field('data') ?? 'null') as Record<string, unknown>;
  }

  get bytes(): number {
    return Buffer.byteLength(this.#block);
  }

  #field(name: string): string | undefined {
    return new RegExp(`^${name}: (.*)$`, 'm').exec(this.#block)?.[1];
  }
}

/** As a program that nobody here wrote: HTTP over TCP, and the lines of the stream. */
class Stranger {
  readonly heard: Heard[] = [];
  readonly answer: IncomingMessage;
  #rest = '';

  constructor(answer: IncomingMessage) {
    this.answer = answer;
    answer.setEncoding('utf8');
    answer.on('data', (text: string) => this.#read(text));
    answer.on('error', () => undefined);
  }

  get names(): string[] {
    return this.heard.map(({ name }) => name);
  }

  #read(text: string): void {
    const blocks = (this.#rest + text).split('\n\n');
    this.#rest = blocks.pop() ?? '';
    for (const block of blocks) this.heard.push(new Heard(block));
  }
}

const connections: IncomingMessage[] = [];
afterEach(() => {
  for (const connection of connections.splice(0)) connection.destroy();
});

type Connect = (query: string, lastId?: number) => Promise<Stranger>;

async function served(): Promise<BackendUnderTest & { readonly connect: Connect }> {
  const tokenFile = path.join(makeDirectory(), 'token');
  const tested = await start({ http: { address: '127.0.0.1:0', remote: false, tokenFile } });
  const token = readFileSync(tokenFile, 'utf8').trim();
  const connect: Connect = async (query, lastId) => {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const headers = {
        authorization: `Bearer ${token}`,
        ...(lastId !== undefined && { 'last-event-id': String(lastId) }),
      };
      get(`${tested.backend.record.http}/api/events${query}`, { headers, agent: false }, resolve).on('error', reject);
    });
    connections.push(answer);
    return new Stranger(answer);
  };
  return { ...tested, connect };
}

const delta = (sequence: number, text = `piece ${sequence} `, context_id = 's'): NamedEvent => ({
  name: 'ContentDelta',
  data: { context_id, message_id: 'm', delta: text, sequence },
});

describe('S4-40 events for other programs', () => {
  it('have the names and the ids that the API promises, each below 1 KB, after a heartbeat with its time', async () => {
    const { connect, ...tested } = await served();
    const stranger = await connect('?named=true');
    await until('the heartbeat', () => stranger.heard.length === 1);
    tested.emit({ type: 'session', session: 's', version: 4, phase: 'StreamingLLMResponse' });
    tested.tell({ name: 'MessageCompleted', data: { context_id: 's', message_id: 'm' } });
    tested.emit({ type: 'session', session: 's' });
    tested.emit({ type: 'project', project: `file:///${'é'.repeat(900)}` });
    await until('all', () => stranger.heard.length === 5);
    expect(stranger.names).toEqual(['Heartbeat', 'StateChanged', 'MessageCompleted', 'StateChanged', 'Resync']);
    const [heartbeat, state, completed, gone] = stranger.heard;
    expect(Number.isNaN(Date.parse(String(heartbeat!.data['timestamp'])))).toBe(false);
    expect(state!.data).toEqual({ context_id: 's', new_state: 'StreamingLLMResponse', version: 4 });
    expect(completed!.data).toEqual({ context_id: 's', message_id: 'm' });
    expect(gone!.data).toEqual({ context_id: 's', new_state: null });
    const first = heartbeat!.id ?? 0;
    expect(stranger.heard.map(({ id }) => (id ?? 0) - first)).toEqual([0, 1, 2, 3, 4]);
    for (const { bytes } of stranger.heard) expect(bytes).toBeLessThan(1024);
  });

  it('continue after Last-Event-ID, and tell a program that comes too late to pull everything', async () => {
    const { connect, ...tested } = await served();
    const before = await connect('?named=true');
    await until('the heartbeat', () => before.heard.length === 1);
    const seen = before.heard[0]!.id!;
    for (const message_id of ['a', 'b'])
      tested.tell({ name: 'MessageCompleted', data: { context_id: 's', message_id } });
    const after = await connect('?named=true', seen + 1);
    await until('what was missed', () => after.heard.length === 1);
    expect(after.heard.map(({ id, data }) => [id, data['message_id']])).toEqual([[seen + 2, 'b']]);
    const late = await connect('?named=true', 5);
    await until('the resync', () => late.heard.length === 1);
    expect(late.names).toEqual(['Resync']);
  });

  it('leave out other sessions, and have pieces of answers only where they are asked for', async () => {
    const { connect, ...tested } = await served();
    const [plain, own, all] = [
      await connect('?named=true'),
      await connect('?named=true&session=s'),
      await connect('?named=true&delta=true'),
    ];
    const listening = [plain, own, all];
    await until('the heartbeats', () => listening.every(({ heard }) => heard.length === 1));
    tested.tell(delta(1, 'x'));
    tested.tell(delta(2, 'x'.repeat(2000)));
    tested.emit({ type: 'session', session: 'other', version: 1, phase: 'Idle' });
    tested.emit({ type: 'session', session: 's', version: 1, phase: 'Idle' });
    await until('the last', () => listening.every(({ heard }) => heard.at(-1)!.data['context_id'] === 's'));
    expect(plain.names).toEqual(['Heartbeat', 'StateChanged', 'StateChanged']);
    expect(own.names).toEqual(['Heartbeat', 'StateChanged']);
    expect(all.names.toSorted()).toEqual(['ContentDelta', 'Heartbeat', 'StateChanged', 'StateChanged']);
    const piece = all.heard.find(({ name }) => name === 'ContentDelta');
    expect(piece?.id).toBeNull();
    expect(piece?.data).toEqual({ context_id: 's', message_id: 'm', delta: 'x', sequence: 1 });
  });

  it.each(['?named=yes', '?named=true&delta=1', '?named=true&session=..%2Fx'])('refuse %s', async (query) => {
    const { connect } = await served();
    const { answer } = await connect(query);
    expect(answer.statusCode).toBe(400);
  });

  it('reach twenty programs whole while one does not read, which then hears that it must pull everything', async () => {
    const { connect, ...tested } = await served();
    const slow = await connect('?named=true');
    slow.answer.pause();
    const fast = await Promise.all(Array.from({ length: 19 }, () => connect('?named=true')));
    await until('the heartbeats', () => fast.every(({ heard }) => heard.length === 1));
    const event = (at: number): NamedEvent => ({
      name: 'MessageCreated',
      data: { context_id: 'c'.repeat(128), message_id: `${at}${'m'.repeat(600)}`, role: 'user' },
    });
    const total = 20_000;
    for (let at = 0; at < total; at += 1000) {
      for (let each = at; each < at + 1000; each++) tested.tell(event(each));
      await until('all but one have read', () => fast.every(({ heard }) => heard.length === at + 1001));
    }
    for (const { heard } of fast) {
      expect(heard.every(({ name }, at) => name === (at === 0 ? 'Heartbeat' : 'MessageCreated'))).toBe(true);
      expect(heard.at(-1)!.id).toBe(heard[0]!.id! + total);
    }
    expect(slow.heard.length).toBeLessThan(total);
    slow.answer.resume();
    await until('the slow one is told', () => slow.names.includes('Resync'));
    tested.tell(event(total));
    await until('it hears again', () => slow.heard.at(-1)!.id === fast[0]!.heard[0]!.id! + total + 1);
  });
});
