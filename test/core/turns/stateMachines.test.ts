import { describe, expect, test } from 'vitest';
import { moveLifecycle } from '../../../src/core/lifecycle.ts';
import { isAtRest, movePhase, type PhaseEvent } from '../../../src/core/turns/phase.ts';
import { lifecycles, phases, type Phase } from '../../../src/protocol/schemas/session.ts';

const outcome = (move: () => string): string => {
  try {
    return move();
  } catch (error) {
    return (error as { code: string }).code;
  }
};

describe('lifecycle', () => {
  test('S0-30 EC-030 of the 25 pairs, just these are allowed; the others are refused with CWM-3001', () => {
    const allowed = lifecycles.flatMap((from) =>
      lifecycles.filter((to) => outcome(() => moveLifecycle(from, to)) === to).map((to) => `${from}→${to}`),
    );
    expect(allowed).toEqual([
      'active→frozen',
      'active→expired',
      'active→deleted',
      'frozen→thawed',
      'frozen→deleted',
      'thawed→active',
      'thawed→frozen',
      'thawed→deleted',
      'expired→deleted',
    ]);
    expect(outcome(() => moveLifecycle('frozen', 'active'))).toBe('CWM-3001');
  });
});

describe('phase', () => {
  const table: Record<Phase, Partial<Record<PhaseEvent, Phase>>> = {
    Idle: { send: 'ProcessingUserMessage' },
    ProcessingUserMessage: { request: 'AwaitingLLMResponse', cancel: 'Idle' },
    AwaitingLLMResponse: {
      stream: 'StreamingLLMResponse',
      streamed: 'ProcessingLLMResponse',
      fail: 'TransientFailure',
      cancel: 'Idle',
    },
    StreamingLLMResponse: { streamed: 'ProcessingLLMResponse', fail: 'TransientFailure', cancel: 'Idle' },
    ProcessingLLMResponse: {
      answered: 'Idle',
      needApproval: 'AwaitingToolApproval',
      runTools: 'ExecutingTools',
      cancel: 'Idle',
    },
    AwaitingToolApproval: { runTools: 'ExecutingTools', denied: 'AwaitingLLMResponse', cancel: 'Idle' },
    ExecutingTools: { toolsDone: 'AwaitingLLMResponse', fail: 'TransientFailure', cancel: 'Idle' },
    TransientFailure: { retry: 'AwaitingLLMResponse', giveUp: 'PermanentFailure', cancel: 'Idle' },
    PermanentFailure: { reset: 'Idle', send: 'ProcessingUserMessage' },
  };
  const events = [...new Set(phases.flatMap((phase) => Object.keys(table[phase])))] as PhaseEvent[];

  test('S4-11 every pair of state and event goes where the table says, or is refused', () => {
    for (const phase of phases)
      for (const event of events) {
        expect([phase, event, outcome(() => movePhase(phase, event))]).toEqual([
          phase,
          event,
          table[phase][event] ?? 'CWM-3001',
        ]);
      }
  });

  test('EC-003 only an idle or given-up session may be frozen', () => {
    expect(phases.filter(isAtRest)).toEqual(['Idle', 'PermanentFailure']);
  });
});
