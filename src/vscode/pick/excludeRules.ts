/**
 * The globs of a setting like `files.exclude`, as rules of a `.gitignore` in the same folder. A glob that depends on a sibling (`when`)
 * excludes nothing: it hides what is generated from a file that is shown, which git's lists usually name.
 *
 * @param globs the setting's value; any other value has no rules.
 */
export function excludeRules(globs: unknown): string {
  if (typeof globs !== 'object' || globs === null) return '';
  return Object.entries(globs)
    .filter(([, value]) => value === true)
    .flatMap(([glob]) => withoutBraces(glob))
    .map(rule)
    .join('\n');
}

/** A glob without a leading `**` means a path from the folder; a rule without a slash means a name anywhere. */
function rule(glob: string): string {
  const whole = glob.replace(/^\/+/, '').replace(/(.)\/(\*\*)?$/, '$1');
  const anchored = whole.startsWith('**/') ? whole : `/${whole}`;
  return anchored.replace(/ $/, '\\ ');
}

/** `*.{js,map}` is two rules. */
function withoutBraces(glob: string): string[] {
  const [, before, choices, after] = /^(.*?)\{([^{}]*)\}(.*)$/.exec(glob) ?? [];
  if (choices === undefined) return [glob];
  return choices.split(',').flatMap((choice) => withoutBraces(`${before}${choice}${after}`));
}
