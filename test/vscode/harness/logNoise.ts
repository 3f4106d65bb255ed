const NOISE =
  /\.node\b|[\\/]bindings\.js|^\s+at |^\s*(tries: \[|\]|\})\s*$|vsda|bindings file|Require stack|watchdog|^- \/.*\.js$|builtin extensions from gallery|^\s*$/;

/**
 * A log of VS Code less the complaints about native modules that are absent on purpose (a logger, mostly): each is a page long, and
 * nothing else could be read in the log's tail.
 */
export function withoutNoise(log: string): string {
  const lines = log.split('\n').filter((line) => !NOISE.test(line));
  return lines.slice(-40).join('\n');
}
