/**
 * The value of an option in a command line, as `--name VALUE` or `--name=VALUE`; null where it is absent or has no value. Servers take the
 * last one of several. vLLM takes "_" for "-" in names.
 */
export function optionIn(args: readonly string[], name: string): string | null {
  let value: string | null = null;
  for (const [index, arg] of args.entries()) {
    const [given = '', attached] = arg.split(/=(.*)/su);
    if (!given.startsWith('--') || given.replaceAll('_', '-') !== name) continue;
    value = attached ?? args[index + 1] ?? null;
  }
  return value === '' ? null : value;
}
