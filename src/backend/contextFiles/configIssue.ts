import type * as z from 'zod/mini';

type Issue = z.core.$ZodIssue;

/** Longer values are cut, in characters. */
const mostShown = 60;

const typeWords: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
};

/**
 * What is wrong with a configuration: the key, what was found there, and what is allowed.
 *
 * @param value what the file says, which has the issue.
 */
export function configIssue(issue: Issue, value: unknown): string {
  const found = valueAt(value, issue.path);
  const allowed = allowedBy(issue);
  const where = issue.path.length === 0 ? 'the whole' : JSON.stringify(pathText(issue.path));
  if (found === undefined) return `${where} is missing: it must be ${allowed}`;
  return `${where} is ${shown(found)}, and must be ${allowed}`;
}

function allowedBy(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return typeWords[issue.expected] ?? issue.expected;
    case 'invalid_value':
      return oneOf(issue.values.map((each) => JSON.stringify(each)));
    case 'too_small':
      return sized('at least', Number(issue.minimum), issue);
    case 'too_big':
      return sized('at most', Number(issue.maximum), issue);
    case 'invalid_format':
      return issue.format === 'regex' ? issue.message : `a ${issue.format.toUpperCase()}`;
    case 'unrecognized_keys':
      return `without ${issue.keys.map((key) => JSON.stringify(key)).join(', ')}`;
    default:
      return issue.message;
  }
}

function sized(
  which: 'at least' | 'at most',
  bound: number,
  { origin, inclusive = true }: { readonly origin: string; readonly inclusive?: boolean },
): string {
  if (origin === 'string') return `text of ${which} ${bound} character${bound === 1 ? '' : 's'}`;
  if (origin === 'array') return `a list of ${which} ${bound} entries`;
  if (inclusive) return `a number of ${which} ${bound}`;
  return `a number ${which === 'at least' ? 'above' : 'below'} ${bound}`;
}

const oneOf = (values: readonly string[]): string =>
  values.length < 2 ? values.join('') : `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`;

const pathText = (path: Issue['path']): string => path.map(String).join('.');

const valueAt = (value: unknown, path: Issue['path']): unknown =>
  path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | null | undefined)?.[key], value);

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= mostShown ? text : `${text.slice(0, mostShown)}…`;
}
