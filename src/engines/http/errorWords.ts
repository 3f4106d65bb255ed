/** The fields in which servers name an error, the most precise first. */
const wordFields = [
  'error',
  'message',
  'detail',
  'details',
  'msg',
  'reason',
  'error_description',
  'description',
  'errors',
  'title',
] as const;
const deepest = 6;
const mostCharacters = 300;

/**
 * The words of an error in any of the forms that servers use: OpenAI's `{error: {message}}`, `{error: "…"}`, FastAPI's `{detail: [{loc,
 * msg}]}`, `{message}`, `{code, details}`, problem documents, lists of any of these. Empty when there are none.
 */
export function errorWords(value: unknown, depth = 0): string {
  if (typeof value === 'string') return value.trim();
  if (typeof value !== 'object' || value === null || depth === deepest) return '';
  if (Array.isArray(value)) return join(value.map((part) => errorWords(part, depth + 1)));
  const record = value as Readonly<Record<string, unknown>>;
  const words = join(wordFields.map((field) => wordsOfField(field, record[field], depth)));
  // FastAPI and pydantic say which field they mean beside the message, not in it.
  const place = Array.isArray(record['loc']) ? record['loc'].filter((part) => part !== 'body').join('.') : '';
  return place === '' || words === '' ? words : `${place}: ${words}`;
}

/** ASP.NET lists its errors by field name. */
function wordsOfField(field: string, value: unknown, depth: number): string {
  const isByName = field === 'errors' && typeof value === 'object' && value !== null && !Array.isArray(value);
  return errorWords(isByName ? Object.values(value) : value, depth + 1);
}

/** Without the parts that another part repeats. */
function join(parts: readonly string[]): string {
  const distinct = [...new Set(parts.filter((part) => part !== ''))];
  return distinct.filter((part) => !distinct.some((other) => other !== part && other.includes(part))).join(': ');
}

/** The error that an answer with status 2xx contains; null when it contains none. */
export function errorInAnswer(value: unknown): string | null {
  if (typeof value !== 'object' || value === null) return null;
  const record = value as Readonly<Record<string, unknown>>;
  const isNamed = Boolean(record['error']) || record['object'] === 'error' || record['type'] === 'error';
  if (!isNamed && ['choices', 'data', 'object'].some((field) => field in record)) return null;
  const words = errorWords(value);
  if (words !== '') return words;
  return isNamed ? JSON.stringify(value) : null;
}

/** The status that an error inside an answer names; null without one. */
export function statusInAnswer(value: unknown): number | null {
  if (typeof value !== 'object' || value === null) return null;
  const { error, code, status, status_code: statusCode } = value as Readonly<Record<string, unknown>>;
  const inside = typeof error === 'object' ? statusInAnswer(error) : null;
  if (inside !== null) return inside;
  const found = [code, status, statusCode].map(Number).find((number) => number >= 400 && number < 600);
  return found ?? null;
}

/** The server's own reason in the text of an answer, in one line of at most 300 characters; empty when it gives none. */
export function serverReason(text: string): string {
  const line = reasonIn(text.replace(/^\uFEFF/, '').trim())
    .replaceAll(/[\p{Cc}\s]+/gu, ' ')
    .trim();
  return line.length > mostCharacters ? `${line.slice(0, mostCharacters)}…` : line;
}

function reasonIn(text: string): string {
  if (text.split('\uFFFD').length > text.length / 8 + 2) return 'bytes that are no text, compressed perhaps';
  // A web page tells a user nothing but its title, and a document of errors its message.
  if (text.startsWith('<'))
    return /<(?:\w+:)?(title|h1|message|faultstring|description)\b[^>]*>([^<]+)</i.exec(text)?.[2] ?? '';
  const value = parseLoosely(text);
  return value === undefined ? text : errorWords(value) || text;
}

/** JSON, also as the first event of a stream; undefined for what is none. */
export function parseLoosely(text: string): unknown {
  for (const candidate of [text, /^data: ?(.*)$/m.exec(text)?.[1]]) {
    if (candidate === undefined) continue;
    try {
      return JSON.parse(candidate);
    } catch {
      continue;
    }
  }
  return undefined;
}
