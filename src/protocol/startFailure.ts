import { CwmError, errorCodes, type ErrorCode } from './errors.ts';

/** The last words of a backend that can't start, in one line: for people, and for the client that started it. */
export const startFailureLine = (pid: number, { message, code, hint }: CwmError): string =>
  `The backend (process ${pid}) could not start: ${message} (${code}) ${hint}`;

/** What that backend said; null when this log has no such words of it. */
export function startFailureIn(log: string, pid: number): CwmError | null {
  const words = new RegExp(`^The backend \\(process ${pid}\\) could not start: (.+) \\((CWM-\\d{4})\\) (.*)$`, 'm');
  const [, message = '', code = '', hint = ''] = words.exec(log) ?? [];
  return code in errorCodes ? new CwmError(code as ErrorCode, message, { hint }) : null;
}
