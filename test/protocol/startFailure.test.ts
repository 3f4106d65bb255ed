import { describe, expect, it } from 'vitest';
import { CwmError } from '../../src/protocol/errors.ts';
import { startFailureIn, startFailureLine } from '../../src/protocol/startFailure.ts';

const failure = new CwmError('EncryptionKey', 'The key file /k (old) can’t be read.', { hint: 'Mount it.' });

describe('why a backend could not start', () => {
  it('is read back from its log as it was told', () => {
    const log = `{"event":"starting"}\n${startFailureLine(7, failure)}\nmore\n`;
    expect(startFailureIn(log, 7)?.report()).toEqual(failure.report());
  });

  it('is not what another process said there, nor a code that nobody knows', () => {
    const line = startFailureLine(7, failure);
    expect(startFailureIn(line, 77)).toBeNull();
    expect(startFailureIn(line.replace('8003', '0000'), 7)).toBeNull();
    expect(startFailureIn('the disk is on fire', 7)).toBeNull();
  });
});
