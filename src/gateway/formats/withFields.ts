/**
 * Puts fields into a JSON object without spelling the rest again: the bytes that the client wrote stay as they are.
 *
 * @param text a JSON object.
 */
export function withFields(text: string, fields: Readonly<Record<string, unknown>>): string {
  const added = JSON.stringify(fields).slice(1, -1);
  if (added === '') return text;
  const open = text.indexOf('{');
  const rest = text.slice(open + 1);
  return `{${added}${/^\s*\}/.test(rest) ? '' : ','}${rest}`;
}
