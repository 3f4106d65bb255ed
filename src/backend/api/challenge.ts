import type { Hono } from 'hono';
import { backendProof, challengePath } from '../../protocol/backendRecord.ts';
import { CwmError } from '../../protocol/errors.ts';

export interface Identity {
  readonly token: string;
  /** Where the backend listens; known once it does. */
  readonly address: () => string;
}

/**
 * Answers everybody who can connect, without a token: the answer tells a client that knows the token whether this is its backend, and
 * tells others nothing. It does not count as use, so that no program keeps the backend alive by asking.
 */
export function answerChallenges(app: Hono, { token, address }: Identity): void {
  app.get(challengePath, (c) => {
    const nonce = c.req.query('nonce') ?? '';
    if (!/^[0-9a-f]{64}$/.test(nonce)) {
      throw new CwmError('InvalidParameter', 'The nonce is not 64 hexadecimal digits.');
    }
    return c.json({ proof: backendProof(token, address(), nonce) });
  });
}
