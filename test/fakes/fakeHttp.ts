import type { IncomingMessage, ServerResponse } from 'node:http';
import type { HttpFault } from './fakeFaults.ts';

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  /** Parsed JSON; undefined without a body. */
  readonly body: unknown;
  /** Numbers the connections of the server. */
  readonly connection: number;
}

/** A proper answer, before any fault spoils it. */
export type Answer =
  | { readonly status: number; readonly json: unknown }
  | { readonly status: number; readonly text: string }
  /** `endMark: false`: nothing says `[DONE]` at the end, as in llama-server's own streams. */
  | { readonly status: number; readonly events: readonly unknown[]; readonly endMark?: boolean };

/** Sends an answer, whole or as far as the fault lets it come. */
export function sendAnswer(response: ServerResponse, answer: Answer, fault: HttpFault | null): void {
  switch (fault?.kind) {
    case 'drop':
      response.socket?.destroy();
      return;
    case 'status':
      sendJson(response, fault.status, {
        error: { message: fault.message ?? 'Something failed.', type: 'InternalServerError', code: fault.status },
      });
      return;
    case 'redirect':
      response.writeHead(307, { location: fault.location }).end();
      return;
    case 'body':
      response.writeHead(200, { 'content-type': fault.type ?? 'application/json' }).end(fault.body);
      return;
    case 'huge':
      sendHuge(response);
      return;
    default:
      sendProper(response, answer, fault);
  }
}

function sendProper(
  response: ServerResponse,
  answer: Answer,
  fault: Exclude<HttpFault, { kind: 'drop' | 'status' | 'redirect' | 'body' | 'huge' }> | null,
): void {
  const [type, chunks] = encode(answer);
  const limit = fault && 'afterChunks' in fault ? fault.afterChunks : Infinity;
  // A server that stays silent does not even send the head.
  if (fault?.kind === 'silence' && limit === 0) return;
  response.writeHead(answer.status, { 'content-type': fault?.kind === 'type' ? fault.type : type });
  for (const [index, chunk] of chunks.entries()) {
    if (index >= limit) break;
    response.write(chunk);
  }
  // A server ends its answer a moment after the last piece.
  if (limit > chunks.length || !fault) setImmediate(() => response.end());
  else if (fault.kind === 'stop') response.end();
  else if (fault.kind === 'cut') response.write(' ', () => response.socket?.destroy());
}

/** The body in pieces: one for each event, or two halves. */
function encode(answer: Answer): readonly [type: string, chunks: readonly string[]] {
  if ('text' in answer) return ['text/plain; version=1.0.0; charset=utf-8', halves(answer.text)];
  if ('json' in answer) return ['application/json', halves(JSON.stringify(answer.json))];
  const events = answer.events.map((event) => `data: ${JSON.stringify(event)}\n\n`);
  return ['text/event-stream; charset=utf-8', answer.endMark === false ? events : [...events, 'data: [DONE]\n\n']];
}

function halves(text: string): string[] {
  const middle = Math.ceil(text.length / 2);
  return [text.slice(0, middle), text.slice(middle)];
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** Goes on until the client has had enough. */
function sendHuge(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  const piece = Buffer.alloc(1024 * 1024, ' ');
  const more = (): void => {
    if (!response.destroyed) response.write(piece, more);
  };
  more();
}
