import { CwmError } from '../../protocol/errors.ts';
import type { Phase } from '../../protocol/schemas/session.ts';

/** What can happen to a turn (S4-11). */
export type PhaseEvent =
  | 'send'
  | 'request'
  | 'stream'
  | 'streamed'
  | 'answered'
  | 'needApproval'
  | 'runTools'
  | 'toolsDone'
  | 'denied'
  | 'fail'
  | 'retry'
  | 'giveUp'
  | 'cancel'
  | 'reset';

/** The turn state machine as data: what is not listed is refused. */
const transitions: Readonly<Record<Phase, Readonly<Partial<Record<PhaseEvent, Phase>>>>> = {
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

/** @throws CwmError InvalidTransition when the event does not apply in this phase. */
export function movePhase(phase: Phase, event: PhaseEvent): Phase {
  const next = transitions[phase][event];
  if (next) return next;
  throw new CwmError('InvalidTransition', `"${event}" does not apply while the session is ${phase}.`, {
    context: { phase, event, allowed: Object.keys(transitions[phase]) },
  });
}

/** Whether a session may be frozen in this phase: nothing of a turn is under way (EC-003). */
export const isAtRest = (phase: Phase): boolean => phase === 'Idle' || phase === 'PermanentFailure';
