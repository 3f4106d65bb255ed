import { toCwmError } from '../../protocol/errors.ts';
import { maxWindowNameLength, parseWindowName } from '../../protocol/ids.ts';

/** A window name made of a session's title and the time; valid for any title. */
export function defaultWindowName(title: string, now: Date): string {
  const stamp = now.toISOString().replaceAll(/[-:]/g, '').replace('T', '-').slice(0, 15);
  const words = title
    .normalize('NFKD')
    .replaceAll(/[^A-Za-z0-9_-]+/g, '-')
    .replaceAll(/^[-_]+|[-_]+$/g, '');
  return `${(words === '' ? 'window' : words).slice(0, maxWindowNameLength - stamp.length - 1)}-${stamp}`;
}

/** Why `value` is not a valid window name, in words for an input box; null when it is one. */
export function windowNameProblem(value: string): string | null {
  try {
    parseWindowName(value);
    return null;
  } catch (error) {
    const { message, hint } = toCwmError(error);
    return `${message} ${hint}`;
  }
}
