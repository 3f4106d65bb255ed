/** A failure as an error, a model server's status or another process reports it. */
export interface Problem {
  readonly message: string;
  readonly code: string;
  readonly hint: string;
}

/** What happened, and the code to look it up by. */
export const whatHappened = ({ message, code }: Omit<Problem, 'hint'>): string => `${message} (${code})`;

/** What happened, its code, what to do next: one line. */
export const problemText = ({ message, code, hint }: Problem): string =>
  `${whatHappened({ message: headline(message), code })} ${hint}`.trimEnd();

/**
 * The part of a message that fits into one line of the user interface. Some messages quote a log after a sentence that ends in a
 * colon; that part is for the log.
 */
export function headline(message: string): string {
  const [first = '', ...rest] = message.split('\n');
  if (rest.length === 0 || !first.endsWith(':')) return first;
  const end = first.lastIndexOf('. ');
  return end === -1 ? `${first.slice(0, -1)}.` : first.slice(0, end + 1);
}
