import type { Emitter } from '../base/emitter.ts';
import type { Change } from '../protocol/signals.ts';

export type Changes = Pick<Emitter<Change>, 'emit'>;

/** Says which step of an operation begins, for whoever watches. */
export type Progress = (step: string) => void;

export const progressOf =
  (changes: Changes, operation: string, subject: string): Progress =>
  (step) =>
    changes.emit({ type: 'progress', operation, subject, step });
