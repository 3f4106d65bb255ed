import { describe, expect, test } from 'vitest';
import { checkedDispatch } from '../../../src/backend/api/checkedDispatch.ts';

const never = new AbortController().signal;
const answering = (result: unknown) => checkedDispatch(() => Promise.resolve(result));
const request = { route: 'pinWindow', input: {}, client: 'cli.1', engineKey: undefined } as const;

describe('the answer to a request', () => {
  test('has what its route promises and nothing else', async () => {
    const dispatch = answering({ window: 'w', pinned: true, internal: 'x' });
    await expect(dispatch(request, never)).resolves.toStrictEqual({ window: 'w', pinned: true });
  });

  test.each([
    [{ window: 'w', pinned: 'yes' }, 'pinned'],
    [{ pinned: true }, 'window'],
    [null, ''],
  ])('is an error that names the field where %j breaks the promise', async (result, field) => {
    await expect(answering(result)(request, never)).rejects.toMatchObject({
      name: 'Internal',
      message: `The answer to "pinWindow" cannot be sent: its "${field}" is invalid.`,
    });
  });
});
