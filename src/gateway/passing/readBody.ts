import type { IncomingMessage } from 'node:http';
import { CwmError } from '../../protocol/errors.ts';

export interface BodyLimits {
  /** Default 64 MiB. */
  readonly bytes?: number;
  /** For the whole body. Default 30 s. */
  readonly ms?: number;
}

/** @throws CwmError BodyTooLarge, RequestTimeout, Cancelled (its sender left). */
export function readBody(req: IncomingMessage, { bytes = 64 << 20, ms = 30_000 }: BodyLimits = {}): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const timer = setTimeout(
      () => fail(new CwmError('RequestTimeout', 'The body of the request came too slowly.')),
      ms,
    );
    const fail = (error: CwmError): void => {
      clearTimeout(timer);
      req.off('data', take);
      req.resume();
      reject(error);
    };
    const take = (chunk: Buffer): void => {
      length += chunk.length;
      if (length > bytes) fail(new CwmError('BodyTooLarge', `The request is larger than ${bytes} bytes.`));
      else chunks.push(chunk);
    };
    req.on('data', take);
    req.once('end', () => {
      clearTimeout(timer);
      resolve(Buffer.concat(chunks));
    });
    req.once('error', () => fail(new CwmError('Cancelled', 'The client left.')));
    req.once('close', () => {
      if (!req.complete) fail(new CwmError('Cancelled', 'The client left.'));
    });
  });
}
