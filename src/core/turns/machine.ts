import { CwmError } from '../../protocol/errors.ts';
import type { Phase, Session } from '../../protocol/schemas/session.ts';

/** What can happen to a session's turn (S4-11, S4-12). */
export type TurnEvent =
  /** The user sends a message, or gives files. */
  | 'send'
  /** The prompt goes to the engine. */
  | 'request'
  /** The first piece of the answer arrives. */
  | 'stream'
  /** The answer is complete. */
  | 'streamed'
  /** The answer is stored, and the turn ends. */
  | 'answered'
  /** The answer calls tools that the user must approve. */
  | 'needApproval'
  /** The tools that the answer calls start. */
  | 'runTools'
  /** The tools' results go to the engine. */
  | 'toolsDone'
  /** The user denies the tools, and the engine learns that. */
  | 'denied'
  /** The engine, a tool or the store fails. */
  | 'fail'
  /** The failed step starts again. */
  | 'retry'
  /** The turn ends with its failure; the session can continue. */
  | 'abandon'
  /** No retry is left. */
  | 'giveUp'
  /** The user or the backend's end cancels the turn. */
  | 'cancel'
  /** The user dismisses the failure. */
  | 'reset'
  /** The session freezes. */
  | 'freeze'
  /** The process that ran the turn is gone, or could not store the turn's end. */
  | 'recover';

type Row = Readonly<Partial<Record<TurnEvent, Phase>>>;

/** Every phase in which a turn is under way can be cancelled, and recovered after a crash: a session never gets stuck. */
const interruptible = { cancel: 'Idle', recover: 'Idle' } as const satisfies Row;

/** The turn state machine as data. `advance` refuses an event that a phase does not list. */
const transitions: Readonly<Record<Phase, Row>> = {
  Idle: { send: 'ProcessingUserMessage', freeze: 'Idle' },
  ProcessingUserMessage: { request: 'AwaitingLLMResponse', fail: 'TransientFailure', ...interruptible },
  AwaitingLLMResponse: {
    stream: 'StreamingLLMResponse',
    streamed: 'ProcessingLLMResponse',
    fail: 'TransientFailure',
    ...interruptible,
  },
  StreamingLLMResponse: { streamed: 'ProcessingLLMResponse', fail: 'TransientFailure', ...interruptible },
  ProcessingLLMResponse: {
    answered: 'Idle',
    needApproval: 'AwaitingToolApproval',
    runTools: 'ExecutingTools',
    fail: 'TransientFailure',
    ...interruptible,
  },
  AwaitingToolApproval: { runTools: 'ExecutingTools', denied: 'AwaitingLLMResponse', ...interruptible },
  ExecutingTools: { toolsDone: 'AwaitingLLMResponse', fail: 'TransientFailure', ...interruptible },
  TransientFailure: { retry: 'AwaitingLLMResponse', abandon: 'Idle', giveUp: 'PermanentFailure', ...interruptible },
  PermanentFailure: { send: 'ProcessingUserMessage', freeze: 'Idle', reset: 'Idle' },
};

/**
 * The session after these events, one after another. This function is the only writer of `phase` (S4-13); it stores nothing.
 *
 * @throws CwmError InvalidTransition when an event does not apply in the phase that the one before left.
 */
export function advance(session: Session, ...events: readonly TurnEvent[]): Session {
  const phase = events.reduce(next, session.phase);
  return { ...session, phase };
}

function next(phase: Phase, event: TurnEvent): Phase {
  const to = transitions[phase][event];
  if (to) return to;
  throw new CwmError('InvalidTransition', `"${event}" does not apply while the session is ${phase}.`, {
    context: { phase, event, allowed: Object.keys(transitions[phase]) },
  });
}

/** Whether no part of a turn is under way. Only then can a session freeze (EC-003). */
export const isAtRest = ({ phase }: Session): boolean => phase === 'Idle' || phase === 'PermanentFailure';

/** Whether the turn waits for the user, who decides on its tool calls: it outlives the process. */
export const isPaused = ({ phase }: Session): boolean => phase === 'AwaitingToolApproval';

/**
 * The session as its last turn left it, for a caller who knows that no turn runs: one that a crash interrupted, or whose end
 * could not be stored, has ended.
 */
export const settled = (session: Session): Session => (isAtRest(session) ? session : advance(session, 'recover'));
