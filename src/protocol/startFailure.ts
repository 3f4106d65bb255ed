import { CwmError, errorNameOf } from './errors.ts';

/** The last line of a backend that cannot start: for people, and for the client that started it. */
export const startFailureLine = (pid: number, { message, code, hint }: CwmError): string =>
  `The backend (process ${pid}) could not start: ${message} (${code}) ${hint}`;

/** What that backend said; null when this log has no such words of it. */
export function startFailureIn(log: string, pid: number): CwmError | null {
  const words = new RegExp(`^The backend \\(process ${pid}\\) could not start: (.+) \\((CWM-\\d{4})\\) (.*)$`, 'm');
  const [, message = '', code = '', hint = ''] = words.exec(log) ?? [];
  const name = errorNameOf(code);
  return name && new CwmError(name, message, { hint });
}
