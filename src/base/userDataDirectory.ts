/** The facts of a system about a user's own directories. */
export interface UserPlaces {
  readonly platform: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Null where the system names none. */
  readonly home: string | null;
}

/**
 * Where programs store a user's data on this system: `$XDG_DATA_HOME` or `~/.local/share`, `~/Library/Application Support`,
 * `%LOCALAPPDATA%`. Null where the system names neither that nor a home directory. Joined with `/`, which Windows takes as well.
 */
export function userDataDirectory({ platform, env, home }: UserPlaces): string | null {
  const below = (path: string): string | null => (home === null || home === '' ? null : `${home}/${path}`);
  if (platform === 'win32') return env['LOCALAPPDATA'] || below('AppData/Local');
  if (platform === 'darwin') return below('Library/Application Support');
  const data = env['XDG_DATA_HOME'];
  // The XDG specification says that a relative path is invalid and must be ignored.
  return data?.startsWith('/') ? data : below('.local/share');
}
