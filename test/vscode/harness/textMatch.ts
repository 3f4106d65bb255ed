/** The pattern that matches just this text. */
export function literalPattern(text: string): string {
  return text.replaceAll(/[$()*+.?[\\\]^{|}]/g, '\\$&');
}

/** A pattern for the whole text of an element; playwright's plain strings match any part, ignoring case. Patterns stay as they are. */
export function exactly(text: string | RegExp): RegExp {
  return typeof text === 'string' ? new RegExp(`^\\s*${literalPattern(text)}\\s*$`) : text;
}
