import { type CwmError, type ErrorCode } from '../../protocol/errors.ts';
import { problemText } from './problem.ts';

/** What a message about a failure offers besides being closed. */
export const failureActions = {
  retry: 'Retry',
  startEngine: 'Start Engine',
  openSettings: 'Open Settings',
  setApiKey: 'Set API Key',
  listWindows: 'List Windows',
  switchSession: 'Switch Session',
  verify: 'Verify',
  doctor: 'Doctor',
  showLog: 'Show Log',
} as const;
export type FailureAction = keyof typeof failureActions;

/** For every code, what helps. `retry` is offered besides wherever the code is retryable. */
const helpful: Readonly<Record<ErrorCode, readonly FailureAction[]>> = {
  'CWM-1001': [],
  'CWM-1002': [],
  'CWM-1003': [],
  'CWM-1004': ['openSettings', 'showLog'],
  'CWM-1005': [],
  'CWM-1101': ['openSettings'],
  'CWM-1201': ['openSettings', 'doctor'],
  'CWM-2001': ['switchSession'],
  'CWM-2002': ['listWindows'],
  'CWM-2003': ['verify'],
  'CWM-2007': [],
  'CWM-2008': ['showLog'],
  'CWM-2009': [],
  'CWM-2010': [],
  'CWM-2011': ['listWindows'],
  'CWM-3001': [],
  'CWM-3002': ['listWindows', 'switchSession'],
  'CWM-3003': ['listWindows'],
  'CWM-3004': ['switchSession'],
  'CWM-3101': ['switchSession'],
  'CWM-3103': [],
  'CWM-3104': [],
  'CWM-3105': [],
  'CWM-3106': [],
  'CWM-4001': ['openSettings', 'showLog'],
  'CWM-4002': ['openSettings', 'showLog'],
  'CWM-4003': ['openSettings'],
  'CWM-4004': ['verify', 'showLog'],
  'CWM-5001': ['startEngine', 'openSettings', 'doctor'],
  'CWM-5003': ['doctor', 'openSettings'],
  'CWM-5004': ['doctor', 'showLog'],
  'CWM-5005': ['openSettings', 'doctor'],
  'CWM-5006': ['setApiKey', 'openSettings'],
  'CWM-5007': ['doctor', 'showLog'],
  'CWM-5010': ['showLog'],
  'CWM-5101': ['showLog'],
  'CWM-6001': ['doctor', 'showLog'],
  'CWM-6002': ['showLog'],
  'CWM-6003': [],
  'CWM-7002': [],
  'CWM-7003': [],
  'CWM-7010': ['listWindows'],
  'CWM-7011': [],
  'CWM-7012': [],
  'CWM-8001': ['openSettings', 'showLog'],
  'CWM-8003': ['showLog'],
  'CWM-9001': ['showLog'],
};

export interface FailureMessage {
  readonly text: string;
  readonly actions: readonly FailureAction[];
}

/** A failure as the user reads it: what happened, its code, what to do next. */
export function failureMessage(title: string, error: CwmError, canRetry: boolean): FailureMessage {
  return {
    text: `${title}: ${problemText(error)}`,
    actions: [...(canRetry && error.retryable ? (['retry'] as const) : []), ...helpful[error.code]],
  };
}
