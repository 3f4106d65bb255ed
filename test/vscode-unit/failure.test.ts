import { describe, expect, test } from 'vitest';
import { CwmError, errors, type ErrorName } from '../../src/protocol/errors.ts';
import { headline, problemText } from '../../src/vscode/render/problem.ts';
import { failureActions, failureMessage } from '../../src/vscode/render/failure.ts';

describe('failures', () => {
  test('every code has a message with what happened, the code and what to do, and every button exists', () => {
    for (const name of Object.keys(errors) as ErrorName[]) {
      const error = new CwmError(name, 'It happened.');
      const { text, actions } = failureMessage('Freeze', error, true);
      expect(text).toBe(`Freeze: It happened. (${error.code}) ${error.hint}`);
      expect(actions.every((action) => Object.hasOwn(failureActions, action))).toBe(true);
      expect(actions.includes('retry')).toBe(error.retryable);
    }
  });

  test('no Retry where there is nothing to do again', () => {
    expect(failureMessage('Freeze', new CwmError('EngineUnavailable', 'x'), false).actions).not.toContain('retry');
  });

  test('a log that a message quotes is left to the log', () => {
    const error = new CwmError(
      'BackendUnavailable',
      'It could not start: status 1. Its log ends with:\nstack\nmore stack',
      {
        hint: 'Look at it.',
      },
    );
    expect(problemText(error)).toBe('It could not start: status 1. (CWM-5010) Look at it.');
    expect(headline('Only this:\nlog')).toBe('Only this.');
    expect(headline('One line.')).toBe('One line.');
  });
});
