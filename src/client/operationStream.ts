import type { IncomingMessage } from 'node:http';
import { createParser } from 'eventsource-parser';
import { eventStreamType, readOperationEvent, type OperationEvent } from '../protocol/operationEvents.ts';
import { readAnswer, TransportError, type BackendAnswer } from './transport.ts';

/** Receives what an operation reports while it works. */
export interface OperationListener {
  /** A step begins, in plain words. */
  readonly onProgress?: ((step: string) => void) | undefined;
  /** The next piece of the answer that the engine is generating. An answer behind tool calls begins with an empty line. */
  readonly onText?: ((piece: string) => void) | undefined;
  /** The same of what the model writes for itself before it answers. */
  readonly onReasoning?: ((piece: string) => void) | undefined;
}

/**
 * Reads an operation's events and returns the answer that the request would have got without them. An answer that is no event stream
 * is read as it is.
 *
 * @throws TransportError when the stream breaks or leaves out an event.
 */
export async function readOperation(response: IncomingMessage, listener: OperationListener): Promise<BackendAnswer> {
  if (!response.headers['content-type']?.startsWith(eventStreamType)) return await readAnswer(response);
  let answer: BackendAnswer | undefined;
  let expected = 0;
  let text = '';
  let isNewAnswer = false;
  const take = (event: OperationEvent): void => {
    if (event.sequence !== expected++) throw new Error('an event of the operation is missing');
    switch (event.type) {
      case 'progress':
        return listener.onProgress?.(event.step);
      case 'answer':
        // Behind tool calls comes another answer.
        isNewAnswer = text !== '';
        return;
      case 'tool':
        return;
      case 'reasoning':
        return listener.onReasoning?.(event.text);
      case 'text':
        text += event.text;
        listener.onText?.(isNewAnswer ? `\n\n${event.text}` : event.text);
        isNewAnswer = false;
        return;
      case 'result': {
        const result = { ...(text !== '' && { text }), ...(event.result as object) };
        answer = { status: 200, body: JSON.stringify(result), signals: event.signals ?? null };
        return;
      }
      case 'error':
        answer = { status: 500, body: JSON.stringify({ error: event.error }), signals: null };
    }
  };
  const parser = createParser({
    onEvent: ({ data }) => {
      const event = readOperationEvent(JSON.parse(data));
      if (event) take(event);
      // A later backend may have more kinds of events; they count.
      else expected++;
    },
  });
  try {
    response.setEncoding('utf8');
    for await (const chunk of response) parser.feed(chunk as string);
    if (answer) return answer;
    throw new Error('the operation has no result');
  } catch (error) {
    throw new TransportError(true, error);
  }
}
