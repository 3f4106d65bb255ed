import { describe, expect, it } from 'vitest';
import { streamAnswer } from '../../src/cli/commands/sessions/answer.ts';
import type { Run } from '../../src/cli/run.ts';
import { CwmError } from '../../src/protocol/errors.ts';
import type { SendResult } from '../../src/protocol/schemas/turn.ts';
import { messageId, sessionId } from '../support/ids.ts';
import { FakeTerminal } from './support/fakeTerminal.ts';

const answer: SendResult = {
  session: sessionId('s'),
  text: 'An answer.',
  messageId: messageId('m'),
  promptTokens: 40,
  outputIds: [],
  cachedTokens: 32,
  finishReason: 'stop',
  timeToFirstTokenMs: 12,
  ms: 30,
  prefixBreak: null,
  notes: [],
};

/** What a person sees of a turn. @param came the pieces that were streamed before it ended. @param signal that of a chat. */
async function seen(came: readonly string[], ending: SendResult | CwmError, signal?: AbortSignal) {
  const terminal = new FakeTerminal();
  const call = async (
    _route: string,
    _input: object,
    _what: string,
    { onText }: { onText?: (text: string) => void },
  ) => {
    for (const piece of came) onText?.(piece);
    if (ending instanceof CwmError) throw ending;
    return ending;
  };
  const run = { terminal, json: false, call } as unknown as Run;
  const failure = await streamAnswer(run, 'send', { session: sessionId('s'), text: 'Why?' }, signal).then(
    () => null,
    (error: unknown) => error,
  );
  return { stdout: terminal.stdout, stderr: terminal.stderr, failure };
}

describe('an answer at the command line', () => {
  it('is printed once, with a line end of its own, and what it cost beside it', async () => {
    const streamed = await seen(['An ', 'answer.'], answer);
    expect(streamed.stdout).toBe('An answer.\n');
    expect(streamed.stderr).toBe('[40 tokens, 32 reused, first token after 12 ms, 30 ms in all]\n');
    expect((await seen([], { ...answer, text: 'Two lines\n' })).stdout).toBe('Two lines\n');
  });

  it('that is stopped in the middle says how to continue it', async () => {
    const stopped = await seen(['An '], new CwmError('Cancelled', 'It was cancelled.'));
    expect(stopped.stdout).toBe('An \n');
    expect(stopped.stderr).toContain('"cwm continue s" gets the rest');
    expect(stopped.failure).toMatchObject({ name: 'Cancelled' });
    const failed = await seen(['An '], new CwmError('EngineFailed', 'It failed.'));
    expect(failed.stderr).toBe('');
    expect((await seen([], new CwmError('Cancelled', 'It was cancelled.'))).stderr).toBe('');
  });

  it('that calls tools names the calls that wait, why each waits, and how to decide', async () => {
    const calls = [
      { id: 'c1', name: 'write', arguments: '{"path":"a"}', why: 'it is dangerous' },
      { id: 'c2', name: 'read', arguments: '{}' },
      { id: 'c3', name: 'push', arguments: '{}', why: 'you decide each call', decision: 'approved' },
    ];
    const { stderr } = await seen([], { ...answer, pendingTools: { calls } as never });
    expect(stderr).toContain('[write {"path":"a"} (it is dangerous) call c1]');
    expect(stderr).toContain('["cwm session approve s" or "cwm session deny s" continues the turn]');
    expect(stderr).not.toContain('push');
    const chat = await seen([], { ...answer, pendingTools: { calls } as never }, new AbortController().signal);
    expect(chat.stderr).toContain('[/approve or /deny continues the turn]');
    expect(chat.stderr).not.toContain('cwm session');
    expect((await seen([], { ...answer, pendingTools: { calls: [calls[1]] } as never })).stderr).not.toContain(
      'approve',
    );
  });

  it('names where the prompt left the cached prefix, and what rendering it again would cost', async () => {
    const { stderr } = await seen([], {
      ...answer,
      cachedTokens: null,
      prefixBreak: { atToken: 1200, likelyCause: 'the date' } as never,
      rerenderTokens: 300,
    });
    expect(stderr).toContain('[prefix break at token 1,200: the date]');
    expect(stderr).toContain('would compute 300 tokens');
    expect(stderr).not.toContain('reused');
  });
});
