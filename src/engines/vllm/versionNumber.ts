/** The leading `major.minor.patch` of a version such as `0.32.0rc1+cpu`; null when there is none. */
function parseVersion(version: string): readonly [number, number, number] | null {
  const match = /^v?(\d+)\.(\d+)(?:\.(\d+))?/.exec(version);
  return match && [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)];
}

/** Whether a version is that one or later; null when it cannot be read (a build from source says `dev`). */
export function isAtLeast(version: string, major: number, minor: number, patch = 0): boolean | null {
  const parsed = parseVersion(version);
  if (!parsed) return null;
  const [a, b, c] = parsed;
  if (a !== major) return a > major;
  return b === minor ? c >= patch : b > minor;
}
