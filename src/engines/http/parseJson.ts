/** Strings, which are skipped, and what Python's `json` writes for numbers that JSON does not have. */
const notJson = /"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b/g;

/** How vLLM writes the log-probability of an impossible token. */
const impossible = '-9999';

/**
 * JSON with the mistakes that servers make: a byte order mark before it; `-Infinity`, a token that cannot come next; `NaN` and
 * `Infinity`, which become null.
 *
 * @throws SyntaxError for other text.
 */
export function parseJson(text: string): unknown {
  const plain = text.startsWith('\uFEFF') ? text.slice(1) : text;
  try {
    return JSON.parse(plain);
  } catch (error) {
    if (!/\b(NaN|Infinity)\b/.test(plain)) throw error;
    return JSON.parse(plain.replaceAll(notJson, replacement));
  }
}

function replacement(match: string): string {
  if (match.startsWith('"')) return match;
  return match === '-Infinity' ? impossible : 'null';
}
