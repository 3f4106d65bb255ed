import { describe, expect, test } from 'vitest';
import { CwmError, errors, type ErrorName } from '../../src/protocol/errors.ts';
import { actionLabel, failureMessage } from '../../src/vscode/render/failure.ts';

describe('failures', () => {
  test('every code has a message with what happened, the code and what to do, and every button exists', () => {
    for (const name of Object.keys(errors) as ErrorName[]) {
      const error = new CwmError(name, 'It happened.');
      const { text, actions } = failureMessage('Freeze', error, true);
      expect(text).toBe(`Freeze: It happened. (${error.code}) ${error.hint}`);
      expect(actions.filter((action) => actionLabel(action) === '')).toEqual([]);
      expect(actions.includes('retry')).toBe(error.retryable);
    }
  });

  test('no Retry where there is nothing to do again', () => {
    expect(failureMessage('Freeze', new CwmError('EngineUnavailable', 'x'), false).actions).not.toContain('retry');
  });
});
