import { Readable } from 'node:stream';
import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { readOperation } from '../../src/client/operationStream.ts';
import { CwmError } from '../../src/protocol/errors.ts';

/** An answer of these events; a text is sent as it is. */
function answerOf(events: readonly (object | string)[], type = 'text/event-stream'): IncomingMessage {
  const text = events
    .map((event) => (typeof event === 'string' ? event : `data: ${JSON.stringify(event)}\n\n`))
    .join('');
  const stream = Readable.from([Buffer.from(text)]);
  return Object.assign(stream, { headers: { 'content-type': type }, statusCode: 200 }) as unknown as IncomingMessage;
}

async function read(events: readonly (object | string)[], type?: string) {
  const heard: string[] = [];
  const answer = await readOperation(answerOf(events, type), {
    onProgress: (step) => heard.push(`step: ${step}`),
    onText: (piece) => heard.push(`text: ${piece}`),
  });
  return { heard, ...answer, body: JSON.parse(answer.body) as unknown };
}

describe("an operation's own stream", () => {
  it('S4-40 tells steps and pieces of text in their order, and the text crosses once', async () => {
    expect(
      await read([
        { sequence: 0, type: 'progress', step: 'Asking' },
        { sequence: 1, type: 'text', text: 'a ' },
        { sequence: 2, type: 'text', text: 'b' },
        { sequence: 3, type: 'result', result: { version: 3 }, signals: 12 },
      ]),
    ).toEqual({
      heard: ['step: Asking', 'text: a ', 'text: b'],
      status: 200,
      body: { text: 'a b', version: 3 },
      signals: 12,
    });
  });

  it('that had no text adds none to the result', async () => {
    const { body, signals } = await read([{ sequence: 0, type: 'result', result: { ok: true } }]);
    expect(body).toEqual({ ok: true });
    expect(signals).toBeNull();
  });

  it('can end with an error, in the form of every other answer', async () => {
    const error = new CwmError('WindowNotFound', 'There is no window "w".').report();
    expect(await read([{ sequence: 0, type: 'error', error }])).toMatchObject({ status: 500, body: { error } });
  });

  it('may have kinds of events of a later backend, which count', async () => {
    const { body } = await read([
      { sequence: 0, type: 'picture', url: 'x' },
      { sequence: 1, type: 'result', result: { ok: true } },
    ]);
    expect(body).toEqual({ ok: true });
  });

  it('is read as a plain answer where the backend answers so', async () => {
    expect(await read(['{"ok":true}'], 'application/json')).toMatchObject({
      heard: [],
      status: 200,
      body: { ok: true },
    });
  });

  it.each<[string, readonly (object | string)[], string]>([
    ['leaves out an event', [{ sequence: 1, type: 'text', text: 'b' }], 'an event of the operation is missing'],
    ['ends without a result', [{ sequence: 0, type: 'text', text: 'a' }], 'the operation has no result'],
    ['is no JSON', ['data: {\n\n'], 'JSON'],
  ])('that %s is a broken connection, behind which the operation may have happened', async (_, events, message) => {
    await expect(read(events)).rejects.toMatchObject({
      name: 'TransportError',
      sent: true,
      message: expect.stringContaining(message),
    });
  });
});
