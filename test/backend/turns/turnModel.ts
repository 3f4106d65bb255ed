import type { Phase } from '../../../src/protocol/schemas/session.ts';

/** What a scripted answer calls: a tool that the user must approve, the tool that asks, one that the model invented. */
export type CallKind = 'tool' | 'question' | 'invented';

interface WaitingCall {
  readonly kind: CallKind;
  isDecided: boolean;
}

/** How the model server treats the next request. */
export type ServerMood = 'well' | 'cut' | 'busy once' | 'gone';

/** `refused`: CWM-3001. `wrong`: CWM-1003. `failed`: the engine's own error. */
export type Outcome = 'done' | 'refused' | 'wrong' | 'failed';

/**
 * What a session does, in the fewest words: the specification that the running backend is held against. Each method is an event, changes
 * the model as the event must change the session, and returns how it must end.
 */
export class TurnModel {
  phase: Phase = 'Idle';
  /** Messages of the conversation. */
  messages = 0;
  /** The last message is an answer that can be continued. */
  isCut = false;
  hasDraft = false;
  #waiting: WaitingCall[] = [];

  /** Calls that wait for the user, by their kinds. */
  get waiting(): readonly CallKind[] {
    return this.#waiting.filter(({ kind, isDecided }) => kind !== 'invented' && !isDecided).map(({ kind }) => kind);
  }

  /** @param answers what each next answer calls; behind the last one it says something. */
  send(mood: ServerMood, answers: readonly (readonly CallKind[])[]): Outcome {
    if (this.phase === 'AwaitingToolApproval') return 'refused';
    if (mood === 'gone') {
      this.phase = 'PermanentFailure';
      this.hasDraft = true;
      return 'failed';
    }
    this.messages++;
    this.hasDraft = false;
    return this.#answer(mood, answers);
  }

  approve(answers: readonly (readonly CallKind[])[]): Outcome {
    if (this.phase !== 'AwaitingToolApproval') return 'refused';
    if (!this.waiting.includes('tool')) return 'wrong';
    return this.#decide('tool', false, answers);
  }

  answerQuestion(answers: readonly (readonly CallKind[])[]): Outcome {
    if (this.phase !== 'AwaitingToolApproval') return 'refused';
    if (!this.waiting.includes('question')) return 'wrong';
    return this.#decide('question', true, answers);
  }

  deny(answers: readonly (readonly CallKind[])[]): Outcome {
    if (this.phase !== 'AwaitingToolApproval') return 'refused';
    return this.#decide(null, false, answers);
  }

  cancel(): Outcome {
    if (this.phase === 'AwaitingToolApproval') this.#results();
    this.phase = 'Idle';
    return 'done';
  }

  continueAnswer(): Outcome {
    if (this.phase === 'AwaitingToolApproval') return 'refused';
    if (!this.isCut) return 'wrong';
    // The whole answer takes the place of the cut one.
    this.isCut = false;
    this.hasDraft = false;
    this.phase = 'Idle';
    return 'done';
  }

  /** The next process: a decision waits on, and so does a failure. */
  restart(): void {
    // Nothing changes.
  }

  #decide(kind: CallKind | null, onlyFirst: boolean, answers: readonly (readonly CallKind[])[]): Outcome {
    const open = this.#waiting.filter((call) => call.kind !== 'invented' && !call.isDecided);
    const chosen = open.filter((call) => kind === null || call.kind === kind);
    for (const call of onlyFirst ? chosen.slice(0, 1) : chosen) call.isDecided = true;
    if (this.waiting.length > 0) return 'done';
    this.#results();
    return this.#answer('well', answers);
  }

  #results(): void {
    this.messages += this.#waiting.length;
    this.#waiting = [];
  }

  #answer(mood: ServerMood, [calls = [], ...answers]: readonly (readonly CallKind[])[]): Outcome {
    this.messages++;
    this.isCut = mood === 'cut';
    if (mood === 'cut') {
      this.phase = 'Idle';
      return 'failed';
    }
    this.#waiting = calls.map((kind) => ({ kind, isDecided: false }));
    if (this.waiting.length > 0) {
      this.phase = 'AwaitingToolApproval';
      return 'done';
    }
    if (calls.length > 0) {
      this.#results();
      return this.#answer('well', answers);
    }
    this.phase = 'Idle';
    return 'done';
  }
}
